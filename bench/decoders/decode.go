// Decodes JPEG files with Go's image/jpeg; writes "width height channels" and raw samples beside each.
// Usage: go run decode.go FILE...
package main

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := write(name); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		}
	}
}

func write(name string) error {
	input, err := os.Open(name)
	if err != nil {
		return err
	}
	defer input.Close()
	picture, err := jpeg.Decode(bufio.NewReader(input))
	if err != nil {
		return err
	}
	file, err := os.Create(name + ".raw")
	if err != nil {
		return err
	}
	defer file.Close()
	output := bufio.NewWriter(file)
	defer output.Flush()
	size := picture.Bounds()
	cmyk, four := picture.(*image.CMYK)
	channels := 3
	if four {
		channels = 4
	}
	fmt.Fprintf(output, "%d %d %d\n", size.Dx(), size.Dy(), channels)
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			if four {
				c := cmyk.CMYKAt(x, y)
				output.Write([]byte{c.C, c.M, c.Y, c.K})
				continue
			}
			c := color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)
			output.Write([]byte{c.R, c.G, c.B})
		}
	}
	return nil
}
