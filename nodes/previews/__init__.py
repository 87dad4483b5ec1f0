"""Small images of what `.sdc` files hold, made without any model of the user."""
