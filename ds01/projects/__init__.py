"""Set up projects and users: directories, git, README, SSH, VS Code. Everything runs with the owner's uid."""
