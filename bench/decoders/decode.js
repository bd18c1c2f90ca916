// Decodes JPEG files with jpeg-js; writes "width height channels" and raw samples beside each.
// Usage: node decode.js FILE...   (jpeg-js is found through NODE_PATH)
const fs = require("fs");
const jpeg = require("jpeg-js");

for (const name of process.argv.slice(2)) {
  try {
    const options = { useTArray: true, formatAsRGBA: false, maxResolutionInMP: 400, maxMemoryUsageInMB: 8192 };
    const { width, height, data } = jpeg.decode(fs.readFileSync(name), options);
    const channels = Math.round(data.length / (width * height));
    fs.writeFileSync(name + ".raw", Buffer.concat([Buffer.from(`${width} ${height} ${channels}\n`), Buffer.from(data)]));
  } catch (error) {
    console.error(`${name}: ${error.message}`);
  }
}
