"""What is kept between runs, and who may read it: avatars, faces, profiles, networks."""
