// Skin, eyes, teeth and hair as functions of where a point is on the neutral mesh (decimetres).
// Numbers that look like places are places on MakeHuman's base mesh. PART, which is defined for
// each program before this text, says what is drawn.
const int EYES = 1, UPPER_TEETH = 2, LOWER_TEETH = 3, TONGUE = 4, LASHES = 5, HAIR = 6;

uniform sampler2D u_masks;  // lips, the mouth's inside, ears
uniform sampler2DShadow u_depths;
uniform sampler3D u_noise;
uniform vec3 u_eyes[2];
uniform vec3 u_camera_at;
uniform vec3 u_skin, u_lips, u_hair, u_iris, u_shirt;
uniform vec3 u_key, u_key_colour, u_sky, u_ground, u_rim;
uniform float u_brow, u_beard, u_freckles, u_age, u_makeup, u_teeth, u_hair_length;
uniform float u_pattern;
uniform float u_mouth_light;  // how much light an open mouth lets in
in vec3 v_position;
in vec3 v_normal;
in vec3 v_rest;
in vec2 v_uv;
in vec3 v_shadow;
in vec2 v_hair;
out vec4 f_colour;

float noise(vec3 at) {  // 0 to 1; every 64 it begins again
    return texture(u_noise, at / 64.0).r;
}

float bell(float x, float width) {
    return exp(-x * x / (2.0 * width * width));
}

struct Surface {
    vec3 colour;
    vec3 normal;
    vec3 wrap;       // how far light reaches round: skin lets red through
    float gloss;     // exponent of the highlight
    float shine;     // its strength
    float occluded;  // 1: open to the sky
};

float brow_mask(vec3 p) {
    float x = abs(p.x);
    float along = (x - 0.11) / 0.47;
    float arch = 7.475 + 0.085 * sin(clamp(along, 0.0, 1.0) * 2.3) - 0.05 * along * along;
    float thick = mix(0.052, 0.016, smoothstep(0.2, 1.0, along));
    float ends = smoothstep(-0.06, 0.1, along) * (1.0 - smoothstep(0.85, 1.08, along));
    float hairs = noise(vec3(p.x * 55.0 + p.y * 30.0 * sign(p.x), p.y * 18.0, 3.0));
    float inside = 1.0 - smoothstep(0.55, 1.25, abs(p.y - arch) / thick + 0.6 * (hairs - 0.5));
    return inside * ends * step(0.9, p.z) * (0.65 + 0.35 * hairs);
}

float beard_mask(vec3 p) {
    float low = 1.0 - smoothstep(6.82, 6.98, p.y);
    float sides = smoothstep(0.25, 0.55, p.z) * smoothstep(6.05, 6.35, p.y + 0.2 * p.z - 0.2);
    float cheek = 1.0 - smoothstep(0.0, 0.14, p.y - 6.62 - 0.75 * max(abs(p.x) - 0.32, 0.0));
    float lip = bell(p.y - 6.86, 0.045) * (1.0 - smoothstep(0.28, 0.4, abs(p.x)));
    return clamp(max(cheek, lip) * low * sides, 0.0, 1.0);
}

Surface skin(vec3 p, vec3 n, vec3 masks) {
    vec3 q = p + u_pattern;
    float broad = noise(q * 3.0), middle = noise(q * 13.0), fine = noise(q * 47.0);
    vec3 colour = u_skin * (1.0 + 0.16 * (broad - 0.5) + 0.12 * (middle - 0.5) + 0.10 * (fine - 0.5));
    float warm = bell(abs(p.x) - 0.48, 0.17) * bell(p.y - 6.93, 0.17) * step(0.6, p.z);
    warm += bell(p.x, 0.13) * bell(p.y - 6.98, 0.11) * step(1.4, p.z) + 0.7 * masks.z;
    colour *= mix(vec3(1.0), vec3(1.05, 0.80, 0.78), min(1.0, warm * (0.5 + broad)));
    float shade = bell(length((p.xy - vec2(sign(p.x) * 0.30, 7.19)) / vec2(0.2, 0.06)), 1.0);
    colour *= 1.0 - (0.10 + 0.16 * u_age) * shade * step(0.9, p.z);
    float lid = bell(length((p.xy - vec2(sign(p.x) * 0.31, 7.36)) / vec2(0.24, 0.07)), 1.0);
    colour = mix(colour, colour * vec3(0.55, 0.42, 0.45), u_makeup * 0.6 * lid * step(0.9, p.z));
    colour *= 1.0 - 0.35 * u_freckles * smoothstep(0.70, 0.85, noise(q * 44.0)) * smoothstep(0.3, 0.6, broad);
    float lips = smoothstep(0.3, 0.7, masks.x);
    vec3 lip_colour = mix(u_lips, u_lips * vec3(1.1, 0.45, 0.5), u_makeup);
    lip_colour *= 0.92 + 0.25 * (middle - 0.5);
    colour = mix(colour, lip_colour, lips);
    float stubble = noise(vec3(q.x * 150.0, q.y * 80.0, q.z * 80.0));
    float beard = beard_mask(p) * (1.0 - lips) * u_beard;
    colour = mix(colour, u_hair * 0.8, beard * smoothstep(0.75 - 0.6 * u_beard, 0.95 - 0.4 * u_beard, stubble));
    colour = mix(colour, mix(colour, u_hair, 0.35), beard);
    float brow = u_brow * brow_mask(p);
    colour = mix(colour, u_hair * 0.7, brow);
    float roots = smoothstep(-0.03, 0.1, v_hair.y + 0.1 * (noise(vec3(q.x, q.yz * 0.3) * 70.0) - 0.5));
    colour = mix(colour, u_hair * 0.5, roots);
    float inside = smoothstep(0.35, 0.75, masks.y);
    colour = mix(colour, vec3(0.24, 0.045, 0.04), inside);
    float shirt = smoothstep(0.0, 0.02, 5.62 + 0.20 * abs(p.x) - 0.16 * p.z - p.y);
    float weave = 0.93 + 0.14 * (fine - 0.5);
    colour = mix(colour, u_shirt * weave, shirt);
    float lines = sin(p.y * 62.0 + 5.0 * (broad - 0.5));
    float forehead = smoothstep(7.6, 7.72, p.y) * (1.0 - smoothstep(7.95, 8.1, p.y)) * step(0.9, p.z);
    n.y += (1.0 - shirt) * (0.08 * (fine - 0.5) + 0.12 * u_age * u_age * forehead * lines);
    float deep = inside * clamp((1.42 - p.z) * 2.2, 0.0, 1.0);
    vec3 wrap = mix(vec3(0.32, 0.14, 0.09), vec3(0.1), shirt);
    float shine = mix(mix(0.09, 0.22, lips) + 0.25 * inside, 0.02, shirt) * (0.5 + middle);
    shine *= (1.0 - 0.9 * max(brow, roots)) * (1.0 - 0.7 * beard);
    return Surface(colour, normalize(n), wrap, mix(22.0, 60.0, max(lips, inside)), shine,
                   mix(1.0, u_mouth_light * (1.0 - 0.85 * deep), inside));
}

Surface eye(vec3 p, vec3 n) {
    vec3 centre = p.x > 0.0 ? u_eyes[0] : u_eyes[1];
    vec3 d = normalize(p - centre);
    float from = length(d.xy), angle = atan(d.y, d.x);
    float ring = 0.49;
    float rays = noise(vec3(angle * 9.0, from * 7.0, u_pattern)) * 0.6 + 0.7;
    vec3 iris = u_iris * rays * mix(0.75, 1.35, smoothstep(0.2, 0.45, from));
    iris *= 1.0 - 0.75 * smoothstep(0.40, 0.50, from);
    iris *= smoothstep(0.17, 0.21, from);
    vec3 white = vec3(0.66, 0.62, 0.58);
    float veins = smoothstep(0.62, 0.8, noise(vec3(d.xy * 16.0, u_pattern)) * smoothstep(0.5, 1.0, from));
    white = mix(white, vec3(0.5, 0.18, 0.14), 0.35 * veins + 0.3 * smoothstep(0.75, 0.98, abs(d.x)));
    vec3 colour = d.z > 0.0 ? mix(iris, white, smoothstep(ring - 0.03, ring + 0.03, from)) : white;
    return Surface(colour, n, vec3(0.2), 350.0, 1.6, 1.0);
}

Surface teeth(vec3 p, vec3 n, bool upper) {
    float along = atan(p.x / 0.31, (p.z - 0.97) / 0.52) / 0.225;
    float within = fract(along) - 0.5;
    float tip = upper ? p.y - 6.600 - 0.25 * (1.47 - p.z) : 6.600 + 0.23 * (1.46 - p.z) - p.y;
    float scallop = (upper ? 0.135 : 0.118) - 0.05 * within * within * 4.0;
    float gum = smoothstep(-0.008, 0.008, tip - scallop);
    float gap = smoothstep(0.36, 0.5, abs(within)) * (1.0 - 0.4 * smoothstep(0.0, 0.1, tip));
    vec3 colour = u_teeth * vec3(1.0, 0.95, 0.84) * (1.0 - 0.55 * gap * gap);
    colour *= 0.94 + 0.12 * noise(vec3(floor(along) * 3.0 + 0.5, upper ? 0.5 : 9.5, 1.5));
    colour = mix(colour, vec3(0.52, 0.2, 0.18), gum);
    vec3 side = normalize(cross(vec3(0.0, 1.0, 0.0), n));
    n = normalize(n + side * within * 1.1 * (1.0 - gum));
    float back = clamp((1.50 - p.z) * 1.5, 0.0, 1.0);
    return Surface(colour, n, vec3(0.35, 0.3, 0.28), 70.0, 0.5,
                   (0.6 + 0.4 * u_mouth_light) * (1.0 - 0.75 * back));
}

Surface tongue(vec3 p, vec3 n) {
    vec3 colour = vec3(0.50, 0.19, 0.17) * (0.8 + 0.4 * noise(p * 40.0));
    float back = clamp((1.40 - p.z) * 1.6, 0.0, 1.0);
    return Surface(colour, n, vec3(0.3, 0.15, 0.12), 40.0, 0.3, u_mouth_light * (1.0 - 0.8 * back));
}

Surface hair(vec3 p, vec3 n) {
    vec3 q = vec3(p.x, p.y * 0.3, p.z * 0.3) + u_pattern;
    float strand = noise(q * 70.0), tip = v_hair.x;
    if (strand < tip * 0.8 - 0.1 || v_hair.y + 0.1 * (strand - 0.5) < 0.03 + 0.1 * tip) discard;
    float lock = noise(q * 9.0);
    vec3 colour = u_hair * (0.55 + 0.55 * strand + 0.5 * (lock - 0.5)) * (0.55 + 0.45 * tip);
    vec3 down = vec3(0.0, -1.0, 0.0);
    vec3 along = normalize(down - n * dot(down, n) + 0.3 * (lock - 0.5));
    vec3 half_way = normalize(u_key + normalize(u_camera_at - v_position));
    float glint = pow(max(0.0, 1.0 - dot(along, half_way) * dot(along, half_way)), 40.0);
    colour += 0.25 * glint * (0.3 * u_hair + 0.04) * strand * u_key_colour;
    return Surface(colour, n, vec3(0.25), 1.0, 0.0, 0.55 + 0.45 * tip);
}

float lit() {
    vec2 texel = 1.0 / vec2(textureSize(u_depths, 0));
    vec3 at = v_shadow - vec3(0.0, 0.0, 0.004);
    float sum = 0.0;
    for (int i = 0; i < 4; i++)
        sum += texture(u_depths, at + vec3(texel * (vec2(i % 2, i / 2) * 2.0 - 1.0), 0.0));
    return sum / 4.0;
}

vec3 shaded(Surface s, vec3 view) {
    float facing = dot(s.normal, u_key);
    // Teeth and tongue scatter what reaches them: lips cast no hard shadow there.
    float reach = PART >= UPPER_TEETH && PART <= TONGUE ? 0.45 + 0.55 * lit() : lit();
    vec3 key = max((facing + s.wrap) / (1.0 + s.wrap), 0.0);
    float open = smoothstep(-0.05, 0.15, facing) * reach;
    vec3 reached = key * mix(s.wrap * 0.6, vec3(1.0), reach);
    float up = 0.5 + 0.5 * s.normal.y;
    vec3 around = mix(u_ground, u_sky, up) * (0.75 + 0.25 * s.normal.z);
    vec3 half_way = normalize(u_key + view);
    float shine = s.shine * pow(max(dot(s.normal, half_way), 0.0), s.gloss) * open;
    float edge = pow(1.0 - max(dot(s.normal, view), 0.0), 4.0);
    float rim = max(dot(s.normal, u_rim), 0.0) * 0.35;
    vec3 light = reached * u_key_colour + around + rim * u_sky;
    return (s.colour * light + shine * u_key_colour + edge * 0.08 * u_sky) * s.occluded;
}

void main() {
    vec3 view = normalize(u_camera_at - v_position);
    vec3 n = normalize(v_normal);
    float alpha = 1.0;
    Surface s;
    if (PART == EYES) s = eye(v_rest, n);
    else if (PART == UPPER_TEETH) s = teeth(v_rest, n, true);
    else if (PART == LOWER_TEETH) s = teeth(v_rest, n, false);
    else if (PART == TONGUE) s = tongue(v_rest, n);
    else if (PART == HAIR) s = hair(v_rest, n);
    else s = skin(v_rest, n, texture(u_masks, v_uv).rgb);
    if (PART == LASHES) {
        s.colour = u_hair * 0.25;
        s.shine = 0.0;
        float row = v_uv.y > 0.965 ? 0.22 : 0.6;  // those of the lower lid are fewer
        alpha = row * smoothstep(0.3, 0.6, noise(vec3(v_uv.x * 2200.0, v_uv.y * 300.0, 1.0)));
    }
    vec3 colour = shaded(s, view);
    colour = colour / (1.0 + 0.32 * colour) * 1.12;  // bright parts give way, as in cameras
    f_colour = vec4(pow(clamp(colour, 0.0, 1.0), vec3(1.0 / 2.2)), alpha);
}
