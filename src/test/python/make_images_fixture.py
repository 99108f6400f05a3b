"""Writes src/test/resources/fixtures/images: small images of many kinds, and what Python makes of them.

Run from the project's root with Debian's python3-torchvision (0.14) and python3-pil (9.4):

    /usr/bin/python3 src/test/python/make_images_fixture.py

expected.json has the pixels of each file as PIL has them, turned as its EXIF data says and converted to RGB; what
torchvision's Resize (antialiased, on float32) and CenterCrop make of one; and its RandomResizedCrop: which part of an
image it takes for given random numbers, and what becomes of a part.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as F

OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "images"
HEIGHT, WIDTH = 10, 14
# (Resize or 0, CenterCrop or 0): smaller, larger, as it is; odd margins among them.
RESIZED = [(5, 5), (7, 4), (10, 3), (25, 18), (0, 9)]
# (height, width) of images; of the last ones only a part in the middle has sides that suit.
CROPPED = [(60, 80), (200, 200), (31, 17), (3, 2), (1, 1), (40, 1000), (1000, 40), (1, 50)]


def colours(height=HEIGHT, width=WIDTH):
    """Smooth, so that JPEG keeps it, and without any symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    red = 250 * x / width
    green = 240 * y / height
    blue = 120 + 100 * np.sin(x / 5 + y / 3)
    return np.stack([red, green, blue], 2).astype(np.uint8)


def noise():
    return np.random.RandomState(0).randint(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def with_alpha(image):
    alpha = Image.fromarray((np.arange(HEIGHT * WIDTH) % 256).astype(np.uint8).reshape(HEIGHT, WIDTH))
    image.putalpha(alpha)
    return image


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def write():
    rgb = Image.fromarray(noise())
    smooth = Image.fromarray(colours())
    grey = rgb.convert("L")
    rgb.save(OUT / "rgb.png")
    rgb.save(OUT / "rgb.bmp")
    rgb.save(OUT / "rgb.tif")
    rgb.save(OUT / "lzw.tif", compression="tiff_lzw")
    rgb.save(OUT / "lossless.webp", lossless=True)
    grey.save(OUT / "grey.png")
    grey.save(OUT / "grey.tif")
    rgb.convert("1").save(OUT / "bits.png")
    with_alpha(rgb.copy()).save(OUT / "alpha.png")
    with_alpha(rgb.copy()).save(OUT / "alpha.tif")
    with_alpha(grey.copy()).save(OUT / "grey_alpha.png")
    palette = rgb.quantize(16)
    palette.save(OUT / "palette.png")
    palette.save(OUT / "palette_clear.png", transparency=3)
    palette.save(OUT / "palette.gif")
    smooth.save(OUT / "rgb.jpg", quality=95)
    smooth.save(OUT / "progressive.jpg", quality=95, progressive=True)
    smooth.save(OUT / "subsampled.jpg", quality=95, subsampling="4:2:0")
    # Of lossy WebP's colours the decoders make different ones, by 3 in 255 in the mean.
    smooth.convert("L").convert("RGB").save(OUT / "lossy.webp", quality=95)
    smooth.convert("L").save(OUT / "grey.jpg", quality=95)
    smooth.convert("CMYK").save(OUT / "cmyk.jpg", quality=95)
    for orientation in range(1, 9):
        smooth.save(OUT / f"turned{orientation}.jpg", quality=95, exif=exif(orientation))
    for orientation in (6, 7):
        rgb.save(OUT / f"turned{orientation}.png", exif=exif(orientation))
        rgb.save(OUT / f"turned{orientation}.webp", lossless=True, exif=exif(orientation))
        rgb.save(OUT / f"turned{orientation}.tif", tiffinfo={0x0112: orientation})
    grey16 = np.random.RandomState(1).randint(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)
    Image.fromarray(grey16).save(OUT / "grey16.png")
    return {"grey16.png": (np.repeat(grey16[:, :, None], 3, 2) / 65535).astype(np.float32).flatten().tolist()}


def seen(file):
    with Image.open(file) as image:
        image.load()  # which turns TIFF by itself in PIL 9.4
        turned = image if file.suffix == ".tif" else ImageOps.exif_transpose(image)
        return np.asarray(turned.convert("RGB"))


def resized(name):
    tensor = torch.tensor(seen(OUT / name).copy()).permute(2, 0, 1).float() / 255
    cases = []
    for size, crop in RESIZED:
        x = F.resize(tensor, size, antialias=True) if size else tensor
        x = F.center_crop(x, crop)
        cases.append({"file": name, "resize": size, "crop": crop, "values": x.flatten().tolist()})
    return cases


def boxes(height, width, random):
    """Parts of an image, and the numbers from 0 to below 1 that torchvision was given to choose them by."""
    given = []

    def draw():
        given.append(random.random_sample())
        return given[-1]

    def uniform(self, low, high):
        return self.fill_(float(low) + draw() * (float(high) - float(low)))

    def randint(low, high, size):
        return torch.tensor([low + int(draw() * (high - low))])

    own = torch.Tensor.uniform_, torch.randint
    torch.Tensor.uniform_, torch.randint = uniform, randint
    try:
        box = RandomResizedCrop.get_params(torch.empty(3, height, width), (0.08, 1.0), (3.0 / 4.0, 4.0 / 3.0))
    finally:
        torch.Tensor.uniform_, torch.randint = own
    return {"height": height, "width": width, "random": given, "box": box}


def cropped(name, random):
    tensor = torch.tensor(seen(OUT / name).copy()).permute(2, 0, 1).float() / 255
    cases = []
    for size in (3, 8, 14):
        box = boxes(tensor.shape[1], tensor.shape[2], random)
        x = F.resized_crop(tensor, *box["box"], [size, size], antialias=True)
        cases.append({"file": name, "size": size, "box": box["box"], "values": x.flatten().tolist()})
    return cases


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    exact = write()
    pixels = {}
    for file in sorted(p for p in OUT.iterdir() if p.suffix != ".json"):
        rgb = seen(file)
        pixels[file.name] = {"height": rgb.shape[0], "width": rgb.shape[1], "rgb": rgb.flatten().tolist()}
    cases = resized("rgb.png") + resized("turned7.png") + resized("turned3.jpg")
    random = np.random.RandomState(2)
    parts = [boxes(height, width, random) for height, width in CROPPED for _ in range(8)]
    crops = cropped("rgb.png", random) + cropped("turned7.png", random) + cropped("turned3.jpg", random)
    expected = {"pixels": pixels, "exact": exact, "resized": cases, "boxes": parts, "cropped": crops}
    (OUT / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
