"""Creating a container: options, image, request, and what is possible instead of a refused one."""
