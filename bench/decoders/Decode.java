// Decodes JPEG files with Java's ImageIO; writes "width height channels" and raw samples beside each.
// Usage: java Decode.java FILE...

import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.OutputStream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;

public class Decode {
    public static void main(String[] names) throws Exception {
        ImageIO.setUseCache(false);
        for (String name : names) {
            try {
                write(name);
            } catch (Throwable error) {
                System.err.println(name + ": " + error);
            }
        }
    }

    static void write(String name) throws Exception {
        ImageReader reader = ImageIO.getImageReadersByFormatName("jpeg").next();
        try (ImageInputStream input = ImageIO.createImageInputStream(new File(name))) {
            reader.setInput(input);
            byte[] samples;
            int width, height, channels;
            try {
                BufferedImage image = reader.read(0);
                width = image.getWidth();
                height = image.getHeight();
                channels = 3;
                int[] codes = image.getRGB(0, 0, width, height, null, 0, width);
                samples = new byte[3 * codes.length];
                for (int i = 0; i < codes.length; i++) {
                    samples[3 * i] = (byte) (codes[i] >> 16);
                    samples[3 * i + 1] = (byte) (codes[i] >> 8);
                    samples[3 * i + 2] = (byte) codes[i];
                }
            } catch (javax.imageio.IIOException error) { // CMYK
                Raster raster = reader.readRaster(0, null);
                width = raster.getWidth();
                height = raster.getHeight();
                channels = raster.getNumBands();
                int[] values = raster.getPixels(0, 0, width, height, (int[]) null);
                samples = new byte[values.length];
                for (int i = 0; i < values.length; i++) {
                    samples[i] = (byte) values[i];
                }
            }
            try (OutputStream output = new FileOutputStream(name + ".raw")) {
                output.write((width + " " + height + " " + channels + "\n").getBytes());
                output.write(samples);
            }
        } finally {
            reader.dispose();
        }
    }
}
