"""The pages in the browser: web server, who is let in, and video to and from the pages.

Of the program it knows what ``control.Control`` says; ``avatar.app.studio`` puts it together.
"""
