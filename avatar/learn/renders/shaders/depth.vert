uniform mat4 u_light;
in vec3 in_position;

void main() {
    gl_Position = u_light * vec4(in_position, 1.0);
}
