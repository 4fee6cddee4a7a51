// Puts a picture and its opacity together. H.264 has no alpha: where the avatar is cut out the
// video is twice as high, colours above, opacity as grey below. A small shader joins them, or the
// processor where there is no WebGL; without transparency the <video> is shown as it is.

const VERTEX = `attribute vec2 corner; varying vec2 at;
void main() { at = vec2(corner.x, 1.0 - corner.y); gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0); }`;
// The lowest half row is left out on both sides of the seam, so that neither bleeds into the other.
const FRAGMENT = `precision mediump float; varying vec2 at; uniform sampler2D picture; uniform float edge;
void main() {
  float y = clamp(at.y, edge, 1.0 - edge) * 0.5;
  float opacity = texture2D(picture, vec2(at.x, y + 0.5)).g;
  // The colours are multiplied by the opacity already; the codec may have lifted some above it.
  gl_FragColor = vec4(min(texture2D(picture, vec2(at.x, y)).rgb, opacity), opacity);
}`;

const compiled = (gl, kind, source) => {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
};

// Whether what was drawn is what is read: browsers that hide who one is give noise instead.
const isRead = (pen) => {
  if (!pen) return false;
  pen.fillStyle = "rgb(40, 90, 200)";
  pen.fillRect(0, 0, 8, 8);
  const { data } = pen.getImageData(0, 0, 8, 8);
  return data.every((value, at) => value === [40, 90, 200, 255][at % 4]);
};

export class Cutout {
  hasPicture = false;
  // Why an avatar that is cut out cannot be shown: a key of the table.
  problem = "";
  // When the last picture came, by performance.now().
  seen = 0;
  shown = () => {};
  #gl = null;
  #edge = null;
  // Without WebGL: two pictures to draw on, and nothing once that is known not to work either.
  #plain = null;

  // `size` gives the avatar's [width, height], or nothing while it is not known.
  constructor(video, canvas, size) {
    this.video = video;
    this.size = size;
    this.#use(canvas);
    this.#next();
  }

  // A canvas whose graphics were lost stays with them, and is of no more use.
  #use(canvas) {
    this.canvas = canvas;
    canvas.addEventListener("webglcontextlost", () => {
      const other = canvas.cloneNode();
      canvas.replaceWith(other);
      this.#gl = null;
      this.#use(other);
    });
  }

  // The next picture is the first again.
  forget() {
    this.hasPicture = false;
  }

  #next() {
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(() => this.#draw());
    else requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#next();
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return;
    const [, own] = this.size() ?? [];
    const stacked = own ? height === 2 * own : height > width;
    if (stacked) this.#join(width, height / 2);
    this.seen = performance.now();
    this.canvas.hidden = !stacked;
    this.video.classList.toggle("behind", stacked);
    if (!this.hasPicture) {
      this.hasPicture = true;
      this.shown();
    }
  }

  #join(width, height) {
    const gl = this.#plain ? null : (this.#gl ??= this.#prepare());
    if (!gl) return this.#joinPlainly(width, height);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      gl.viewport(0, 0, width, height);
    }
    gl.uniform1f(this.#edge, 1 / height);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, this.video);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  // As the shader does, number by number; a canvas wants colours that are not multiplied.
  #joinPlainly(width, height) {
    this.#plain ??= this.#preparePlain();
    const { from, to } = this.#plain;
    if (!to) return;
    if (this.canvas.width !== width || this.canvas.height !== height || from.canvas.width !== width) {
      this.canvas.width = from.canvas.width = width;
      this.canvas.height = height;
      from.canvas.height = 2 * height;
    }
    from.drawImage(this.video, 0, 0, width, 2 * height);
    const picture = from.getImageData(0, 0, width, height);
    const colours = picture.data;
    const opacities = from.getImageData(0, height, width, height).data;
    for (let at = 0; at < colours.length; at += 4) {
      const opacity = opacities[at + 1];
      const more = opacity && 255 / opacity;
      colours[at] *= more;
      colours[at + 1] *= more;
      colours[at + 2] *= more;
      colours[at + 3] = opacity;
    }
    to.putImageData(picture, 0, 0);
  }

  #preparePlain() {
    const slow = { willReadFrequently: true };
    const from = document.createElement("canvas").getContext("2d", slow);
    const to = isRead(from) ? this.canvas.getContext("2d") : null;
    if (to) console.warn("No WebGL here: the avatar is cut out by the processor, which takes more of it.");
    else this.problem = "noCutout";
    return { from, to };
  }

  #prepare() {
    const gl = this.canvas.getContext("webgl", { alpha: true, premultipliedAlpha: true, antialias: false });
    if (!gl) return null;
    const program = gl.createProgram();
    gl.attachShader(program, compiled(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, compiled(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const [name, value] of [
      [gl.TEXTURE_MIN_FILTER, gl.LINEAR], [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
    ]) gl.texParameteri(gl.TEXTURE_2D, name, value);
    this.#edge = gl.getUniformLocation(program, "edge");
    return gl;
  }
}
