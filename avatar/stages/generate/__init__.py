"""Drawing the avatar: motion in, picture out."""
