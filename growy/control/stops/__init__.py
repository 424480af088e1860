"""Parts of `growy.control.emergency`: what one device is told, what it has proven, and how it is let go again."""
