/* Roll-outs of an ensemble on a processor: what Imagination._step does with torch, for all steps at once.
 *
 * LANES rows stay together from the first step to the last, in the processor's caches and vector registers. Blocks
 * whose gate is closed in all of them are left out, which a batched product cannot do.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

/* LANES numbers fill a vector register, and UNITS sums of them leave some registers free. */
#define UNITS 8
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float Rows __attribute__((vector_size(4 * LANES)));
typedef int32_t Mask __attribute__((vector_size(4 * LANES)));
typedef uint32_t Pairs __attribute__((vector_size(4 * LANES))); /* two numbers in bfloat16 of each row */

typedef struct {
    int32_t members, blocks, columns, actions, objects, rooms, angles, turned, inputs, layers, outputs, together, reduced;
    float near, bent, reach, fade, faint;
    const int32_t *sizes;   /* [layers + 1]: numbers that enter each layer, and the outputs */
    const float *weights;   /* of each member's blocks: layer by layer, UNITS units side by side; or in pairs */
    const float *biases;    /* likewise, padded to UNITS */
    const int32_t *reads;   /* [blocks, inputs] feature columns */
    const float *shift, *stretch;             /* [columns] */
    const int32_t *probed;                    /* [3 objects + rooms] columns */
    const float *probe_shift, *probe_stretch; /* likewise */
    const int32_t *angle;                     /* [angles] columns */
    const int32_t *axes;                      /* [9] columns if the hand is turned */
    const int32_t *moved_from;                /* [blocks * outputs + 1]: where each output's moves begin */
    const int32_t *moved;                     /* columns that outputs move */
    const float *moves;                       /* and how far */
    const float *low, *high;                  /* [columns] */
} Model;

int32_t units(void) { return UNITS; }

/* Whether there are instructions that multiply and add at once: without them torch's products are faster. */
int32_t fuses(void) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return 1;
#else
    return 0;
#endif
}

/* Whether there are instructions for products in bfloat16. */
int32_t reduces(void) {
#if defined(__AVX512BF16__)
    return 1;
#else
    return 0;
#endif
}

static inline Rows same(float x) { return x - (Rows){0}; }

static inline Rows choose(Mask where, Rows a, Rows b) { return (Rows)((where & (Mask)a) | (~where & (Mask)b)); }

/* e^x, to about 2 units in the last place; what is not a number stays so. */
static inline Rows power(Rows x) {
    x = choose(x < -87.0f, same(-87.0f), x);
    x = choose(x > 88.0f, same(88.0f), x);
    Rows shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: the whole part lands in the lowest bits */
    Rows whole = shifted - 12582912.0f;
    Rows rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    Rows y = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    y = y * rest + 8.3334519073e-3f;
    y = y * rest + 4.1665795894e-2f;
    y = y * rest + 1.6666665459e-1f;
    y = y * rest + 5.0000001201e-1f;
    y = y * rest * rest + rest + 1.0f;
    Mask exponent = ((Mask)shifted - 0x4B400000 + 127) << 23;
    return y * (Rows)exponent;
}

static inline Rows bend(Rows x) {
    Rows small = x - x * x * x * (1.0f / 3.0f);
    return choose((x < 0.01f) & (x > -0.01f), small, 1.0f - 2.0f / (power(2.0f * x) + 1.0f));
}

static inline Rows root(Rows x) {
    for (int l = 0; l < LANES; l++) x[l] = sqrtf(x[l]);
    return x;
}

static inline Rows bounded(Rows x, float low, float high) {
    x = choose(x < low, same(low), x);
    return choose(x > high, same(high), x);
}

static void layer(const float *restrict w, const float *restrict b, int n, int m, const Rows *restrict x,
                  Rows *restrict y, int last) {
    for (int i = 0; i < m; i += UNITS) {
        Rows sum[UNITS];
        for (int u = 0; u < UNITS; u++) sum[u] = same(b[i + u]);
        for (int j = 0; j < n; j++, w += UNITS) {
            Rows from = x[j];
            for (int u = 0; u < UNITS; u++) sum[u] += w[u] * from;
        }
        for (int u = 0; u < UNITS; u++) y[i + u] = last ? sum[u] : choose(sum[u] < 0.0f, same(0.0f), sum[u]);
    }
}

#if defined(__AVX512BF16__)
static inline Pairs rounded(Rows x) {
    Pairs bits = (Pairs)x;
    return bits + 0x7FFF + ((bits >> 16) & 1); /* to even */
}

static inline Pairs paired(Rows a, Rows b) { return rounded(a) >> 16 | (rounded(b) & 0xFFFF0000u); }

/* The same in bfloat16, summed in float32; n pairs come in, and m / 2 pairs go out but for the last layer. */
static void reduced_layer(const uint32_t *restrict w, const float *restrict b, int n, int m, const Pairs *restrict x,
                          void *restrict y, int last) {
    for (int i = 0; i < m; i += UNITS) {
        Rows sum[UNITS];
        for (int u = 0; u < UNITS; u++) sum[u] = same(b[i + u]);
        for (int j = 0; j < n; j++, w += UNITS)
            for (int u = 0; u < UNITS; u++)
                sum[u] = (Rows)_mm512_dpbf16_ps((__m512)sum[u], (__m512bh)_mm512_set1_epi32((int)w[u]), (__m512bh)x[j]);
        for (int u = 0; u < UNITS; u++) {
            if (last) ((Rows *)y)[i + u] = sum[u];
            else sum[u] = choose(sum[u] < 0.0f, same(0.0f), sum[u]);
        }
        for (int u = 0; u < UNITS && !last; u += 2) ((Pairs *)y)[(i + u) / 2] = paired(sum[u], sum[u + 1]);
    }
}
#endif

static inline int padded(int n) { return (n + UNITS - 1) / UNITS * UNITS; }

/* All inputs of the blocks, in the order of blocks.Features, and each object's gate. */
static void look(const Model *m, const Rows *state, const Rows *action, Rows *feature, Rows *gate) {
    Rows *next = feature;
    for (int c = 0; c < m->columns; c++) *next++ = m->shift[c] + state[c] * m->stretch[c];
    Rows *near = next, *bent = near + m->objects, *held = bent + 3 * m->objects;
    Rows *room = held + (m->turned ? 3 * m->objects : 0);
    for (int o = 0; o < m->objects; o++) {
        Rows vector[3], square = {0};
        for (int a = 0; a < 3; a++) {
            int j = 3 * o + a;
            vector[a] = m->probe_shift[j] + state[m->probed[j]] * m->probe_stretch[j];
            square += vector[a] * vector[a];
            bent[j] = bend(vector[a]);
        }
        Rows distance = root(choose(square < 1e-12f, same(1e-12f), square));
        near[o] = power(distance * m->near);
        gate[o] = 1.0f / (1.0f + power(m->fade * m->bent * distance - m->fade * m->reach));
        gate[o] = choose(gate[o] < m->faint, same(0.0f), gate[o]);
        for (int a = 0; a < 3 && m->turned; a++) {
            Rows along = {0};
            for (int c = 0; c < 3; c++) along += state[m->axes[3 * a + c]] * vector[c];
            held[3 * o + a] = bend(along);
        }
    }
    for (int r = 0; r < m->rooms; r++) {
        int j = 3 * m->objects + r;
        room[r] = power(m->probe_shift[j] + state[m->probed[j]] * m->probe_stretch[j]);
    }
    next = room + m->rooms;
    for (int a = 0; a < m->angles; a++, next++)
        for (int l = 0; l < LANES; l++) {
            next[0][l] = sinf(state[m->angle[a]][l]);
            next[m->angles][l] = cosf(state[m->angle[a]][l]);
        }
    next += m->angles;
    for (int a = 0; a < m->actions; a++) *next++ = action[a];
    *next++ = same(0.0f);
    *next++ = same(1.0f);
}

static int closed(Rows gate) {
    int open = 0;
    for (int l = 0; l < LANES; l++) open |= gate[l] != 0.0f;
    return !open;
}

/* The outputs of block k, in x or y. */
static const Rows *network(const Model *m, int k, const float *w, const float *b, const Rows *feature, Rows *x, Rows *y) {
    const int32_t *reads = m->reads + (size_t)k * m->inputs;
    Rows *from = x, *to = y;
#if defined(__AVX512BF16__)
    if (m->reduced)
        for (int i = 0; i < m->inputs; i += 2) ((Pairs *)x)[i / 2] = paired(feature[reads[i]], feature[reads[i + 1]]);
#endif
    if (!m->reduced)
        for (int i = 0; i < m->inputs; i++) x[i] = feature[reads[i]];
    for (int l = 0; l < m->layers; l++) {
        int n = m->sizes[l], wide = padded(m->sizes[l + 1]), last = l + 1 == m->layers;
#if defined(__AVX512BF16__)
        if (m->reduced) reduced_layer((const uint32_t *)w, b, n = (n + 1) / 2, wide, (const Pairs *)from, to, last);
#endif
        if (!m->reduced) layer(w, b, n, wide, from, to, last);
        w += (size_t)n * wide, b += wide;
        Rows *other = from;
        from = to, to = other;
    }
    return from;
}

/* One control step of one member. */
static void step(const Model *m, const float *weights, const float *biases, int per_weights, int per_biases,
                 const Rows *state, const Rows *action, Rows *after, Rows *feature, Rows *gate, Rows *x, Rows *y) {
    look(m, state, action, feature, gate);
    memcpy(after, state, sizeof(Rows) * m->columns);
    for (int k = 0; k < m->blocks; k++) {
        Rows counts = k ? gate[k - 1] : same(1.0f);
        if (k && closed(counts)) continue;
        const Rows *from = network(m, k, weights + (size_t)k * per_weights, biases + (size_t)k * per_biases, feature, x, y);
        for (int o = 0; o < m->outputs; o++)
            for (int e = m->moved_from[k * m->outputs + o]; e < m->moved_from[k * m->outputs + o + 1]; e++)
                after[m->moved[e]] += m->moves[e] * (counts * from[o]);
    }
    for (int c = 0; c < m->columns; c++) after[c] = bounded(after[c], m->low[c], m->high[c]);
}

static int features_of(const Model *m) {
    return m->columns + (m->turned ? 7 : 4) * m->objects + m->rooms + 2 * m->angles + m->actions + 2;
}

/* How much room the weights and biases of a block take, and its widest layer. */
static void measure(const Model *m, int *widest, int *per_weights, int *per_biases) {
    *widest = m->inputs, *per_weights = *per_biases = 0;
    for (int l = 0; l < m->layers; l++) {
        int wide = padded(m->sizes[l + 1]);
        *per_weights += (m->reduced ? (m->sizes[l] + 1) / 2 : m->sizes[l]) * wide, *per_biases += wide;
        if (wide > *widest) *widest = wide;
    }
}

/* Follow plans [steps, actions, rows] from path[0]; path is [steps + 1, members, columns, rows]. With `together`, all
 * members go on from their mean. Returns 0, or 1 if there is no memory. */
int32_t follow(const Model *m, const float *plans, float *path, int32_t steps, int64_t rows) {
    int widest, per_weights, per_biases, group = m->together ? m->members : 1;
    measure(m, &widest, &per_weights, &per_biases);
    int features = features_of(m);
    size_t needed = 2 * (size_t)group * m->columns + m->actions + features + m->objects + 2 * (size_t)widest;
    Rows *space = aligned_alloc(sizeof(Rows), sizeof(Rows) * needed);
    if (!space) return 1;
    Rows *state = space, *after = state + group * m->columns, *action = after + group * m->columns;
    Rows *feature = action + m->actions, *gate = feature + features, *x = gate + m->objects, *y = x + widest;
    size_t one = (size_t)m->columns * rows;
    for (int64_t r = 0; r < rows; r += LANES) {
        int width = rows - r < LANES ? (int)(rows - r) : LANES;
        for (int first = 0; first < m->members; first += group) {
            memset(space, 0, sizeof(Rows) * (2 * (size_t)group * m->columns + m->actions));
            for (int c = 0; c < group * m->columns; c++) {
                memcpy(&state[c], path + first * one + c * rows + r, 4 * width);
                for (int l = width; l < LANES; l++) state[c][l] = state[c][0]; /* no gate of their own */
            }
            for (int t = 0; t < steps; t++) {
                for (int a = 0; a < m->actions; a++)
                    memcpy(&action[a], plans + ((size_t)t * m->actions + a) * rows + r, 4 * width);
                if (m->together)
                    for (int c = 0; c < m->columns; c++) {
                        Rows sum = {0};
                        for (int p = 0; p < group; p++) sum += state[p * m->columns + c];
                        for (int p = 0; p < group; p++) state[p * m->columns + c] = sum / (float)group;
                    }
                float *to = path + ((size_t)(t + 1) * m->members + first) * one + r;
                for (int p = 0; p < group; p++) {
                    const float *w = m->weights + (size_t)(first + p) * m->blocks * per_weights;
                    const float *b = m->biases + (size_t)(first + p) * m->blocks * per_biases;
                    step(m, w, b, per_weights, per_biases, state + p * m->columns, action,
                         after + p * m->columns, feature, gate, x, y);
                }
                for (int c = 0; c < group * m->columns; c++) memcpy(to + (size_t)c * rows, &after[c], 4 * width);
                Rows *other = state;
                state = after, after = other;
            }
        }
    }
    free(space);
    return 0;
}

/* The products of so many steps alone, with every block of every member: what a speed is compared with. */
int32_t multiply(const Model *m, int32_t steps, int64_t rows) {
    int widest, per_weights, per_biases;
    measure(m, &widest, &per_weights, &per_biases);
    int features = features_of(m);
    size_t needed = features + 2 * (size_t)widest;
    Rows *feature = aligned_alloc(sizeof(Rows), sizeof(Rows) * needed);
    if (!feature) return 1;
    memset(feature, 0, sizeof(Rows) * needed);
    Rows *x = feature + features, *y = x + widest;
    for (int64_t r = 0; r < rows; r += LANES)
        for (int p = 0; p < m->members; p++)
            for (int t = 0; t < steps; t++)
                for (int k = 0; k < m->blocks; k++) {
                    size_t net = (size_t)p * m->blocks + k;
                    network(m, k, m->weights + net * per_weights, m->biases + net * per_biases, feature, x, y);
                }
    free(feature);
    return 0;
}
