// A photograph that is sent: what may be, and under which name it is kept.
import { Trouble, upload } from "/static/api.js";

const KINDS = ["image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/heif"];
// Browsers do not know every kind by its name.
const BY_NAME = { avif: "image/avif", heic: "image/heic", heif: "image/heif", jfif: "image/jpeg" };
const MOST_BYTES = 25_000_000;

// Returns what a photograph says it is; throws `Trouble` for what cannot be one.
export const kindOf = (file) => {
  const kind = file.type || BY_NAME[file.name.split(".").pop().toLowerCase()];
  if (!KINDS.includes(kind)) throw new Trouble({ key: "notPhoto", values: { name: file.name } });
  const size = Math.ceil(file.size / 1e6);
  if (file.size > MOST_BYTES) throw new Trouble({ key: "tooLarge", values: { name: file.name, size } });
  return kind;
};

// Adds a photograph as an avatar; returns what is kept: its `name`, how many `faces` it has.
// `say` hears a message at each step, `progress` which share of the file was sent.
export const addPhoto = async (file, say, progress = () => {}) => {
  const kind = kindOf(file);
  const sent = (share) => {
    progress(share);
    // What comes after sending has no measure.
    say({ key: share < 1 ? "sendingFile" : "adding", values: { name: file.name } });
  };
  sent(0);
  // Names have letters, digits, spaces, - and _ alone.
  const stem = file.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{M}\p{Nd} _-]+/gu, "-");
  const stored = await upload(file, kind, stem.replace(/^[\s-]+|[\s-]+$/g, "") || "photo", sent);
  const { name, faces } = stored;
  say(faces > 1 ? { key: "addedOneOf", values: { name, faces } } : { key: "added", values: { name } });
  return stored;
};
