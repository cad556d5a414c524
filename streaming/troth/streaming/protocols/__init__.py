"""The `.troth` files of the control plane, which `shell_protocols` loads."""
