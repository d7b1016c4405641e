"""Creating a container: options, image, request, and the alternatives to a refused one."""
