// Places a corner of the mesh before the camera; positions are relative to the eyes, y up, z
// towards the camera.
uniform mat4 u_camera;
uniform mat4 u_light;
in vec3 in_position;
in vec3 in_normal;
in vec3 in_rest;  // where it is on the neutral mesh: textures are a function of this
in vec2 in_uv;
in vec2 in_hair;  // 0 on the skin to 1 at the tips; how far above the hairline
out vec3 v_position;
out vec3 v_normal;
out vec3 v_rest;
out vec2 v_uv;
out vec3 v_shadow;
out vec2 v_hair;

void main() {
    gl_Position = u_camera * vec4(in_position, 1.0);
    vec4 lit = u_light * vec4(in_position, 1.0);
    v_shadow = lit.xyz / lit.w * 0.5 + 0.5;
    v_position = in_position;
    v_normal = in_normal;
    v_rest = in_rest;
    v_uv = in_uv;
    v_hair = in_hair;
}
