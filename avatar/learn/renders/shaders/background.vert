in vec2 in_corner;
out vec2 v_uv;

void main() {
    gl_Position = vec4(in_corner, 0.999, 1.0);
    v_uv = in_corner * vec2(0.5, -0.5) + 0.5;
}
