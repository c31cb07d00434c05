"""The planner behind a robot's own control loop: a server, its watchdog, and a client."""
