/* Ends the process at the n-th operation that changes files below a folder; loaded by LD_PRELOAD.

   arm(folder, n, log): count from now on; n = 0 never ends. Each operation is a line of the log: a word, the path,
   and for a rename the new path. Writes are torn in half. Until armed, nothing is touched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char home[PATH_MAX];
static long target, count;
static int armed, log_to = -1;

void arm(const char *folder, long n, int log) {
  snprintf(home, sizeof home, "%s", folder);
  target = n, count = 0, log_to = log, armed = 1;
}

static int below(const char *path) { return !strncmp(path, home, strlen(home)); }

/* The absolute path of a name in an open folder; false where there is none. */
static int whole(int folder, const char *name, char *path) {
  char link[64];
  if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
  if (folder == AT_FDCWD) {
    if (syscall(SYS_getcwd, path, PATH_MAX) < 0) return 0;
  } else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
  }
  size_t used = strlen(path);
  if (name[0]) snprintf(path + used, PATH_MAX - used, "/%s", name);
  return 1;
}

/* Whether this operation is the one at which the process ends. */
static int due(const char *what, const char *path, const char *other) {
  char line[3 * PATH_MAX];
  int size = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, path, other);
  if (log_to >= 0) syscall(SYS_write, log_to, line, size);
  return ++count == target;
}

static void end(void) { syscall(SYS_exit_group, 137); }

static int ours(int fd, char *path) {
  struct stat known;
  return armed && fd > 2 && fd != log_to && !fstat(fd, &known) && (S_ISREG(known.st_mode) || S_ISDIR(known.st_mode)) &&
         whole(fd, "", path) && below(path);
}

static void at_name(const char *what, int folder, const char *name) {
  char path[PATH_MAX];
  if (armed && whole(folder, name, path) && below(path) && due(what, path, "")) end();
}

static void at_rename(int from, const char *old, int to, const char *new) {
  char path[PATH_MAX], other[PATH_MAX];
  if (armed && whole(from, old, path) && whole(to, new, other) && (below(path) || below(other)) &&
      due("rename", path, other))
    end();
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *data, size_t size) {
  char path[PATH_MAX];
  if (ours(fd, path) && due("write", path, "")) syscall(SYS_write, fd, data, size / 2), end();
  return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  char path[PATH_MAX];
  if (ours(fd, path) && due("write", path, "")) syscall(SYS_pwrite64, fd, data, size / 2, at), end();
  return syscall(SYS_pwrite64, fd, data, size, at);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int many) {
  char path[PATH_MAX];
  if (ours(fd, path) && due("write", path, "")) syscall(SYS_writev, fd, parts, many / 2), end();
  return syscall(SYS_writev, fd, parts, many);
}

#define ON_FD(name, word, call) \
  int name(int fd) { \
    char path[PATH_MAX]; \
    if (ours(fd, path) && due(word, path, "")) end(); \
    return syscall(call, fd); \
  }
ON_FD(fsync, "fsync", SYS_fsync)
ON_FD(fdatasync, "fsync", SYS_fdatasync)

#define TRUNCATE(name, offset) \
  int name(int fd, offset size) { \
    char path[PATH_MAX]; \
    if (ours(fd, path) && due("truncate", path, "")) end(); \
    return syscall(SYS_ftruncate, fd, size); \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *old, const char *new) {
  REAL(int, "rename", const char *, const char *);
  at_rename(AT_FDCWD, old, AT_FDCWD, new);
  return real(old, new);
}
int renameat(int from, const char *old, int to, const char *new) {
  REAL(int, "renameat", int, const char *, int, const char *);
  at_rename(from, old, to, new);
  return real(from, old, to, new);
}
int unlink(const char *name) {
  REAL(int, "unlink", const char *);
  at_name("unlink", AT_FDCWD, name);
  return real(name);
}
int unlinkat(int folder, const char *name, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  at_name("unlink", folder, name);
  return real(folder, name, flags);
}
int rmdir(const char *name) {
  REAL(int, "rmdir", const char *);
  at_name("rmdir", AT_FDCWD, name);
  return real(name);
}
int mkdir(const char *name, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  at_name("mkdir", AT_FDCWD, name);
  return real(name, mode);
}

static int opened(int folder, const char *name, int flags, mode_t mode) {
  if (flags & (O_CREAT | O_TRUNC)) at_name("open", folder, name);
  return syscall(SYS_openat, folder, name, flags, mode);
}
#define OPEN(name, first, folder) \
  int name { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    return opened(folder, path, flags, mode); \
  }
OPEN(open(const char *path, int flags, ...), path, AT_FDCWD)
OPEN(open64(const char *path, int flags, ...), path, AT_FDCWD)
OPEN(openat(int at, const char *path, int flags, ...), path, at)
OPEN(openat64(int at, const char *path, int flags, ...), path, at)
