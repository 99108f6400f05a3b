package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.global.torch;

/**
 * Images in a folder for each class: {@code photos/train/cat/1.jpg}, {@code
 * photos/train/dog/2.png}; as torchvision's class of this name has them.
 *
 * <pre>{@code
 * ImageFolder train = ImageFolder.of(Path.of("photos/train")).resize(72).centerCrop(64);
 * ImageFolder test = train.like(Path.of("photos/test"));
 * DataLoader loader = DataLoader.shuffled(train.transformed(new Augmentation(4, true)), 64, 0, device);
 * }</pre>
 *
 * <p>Folders in the folder of a class are of that class. Files are taken by the ends of their
 * names, all that ImageIO has a reader for: PNG, JPEG, WebP, TIFF, BMP and GIF, of which the first
 * image is seen. Others are left out, with a warning; what begins with a dot, {@code Thumbs.db} and
 * the like without one. Links are followed.
 *
 * <p>An image is turned as its EXIF data says. Grey is repeated in three channels, alpha is left
 * out and colour profiles are not applied, as in Python by {@code Image.convert("RGB")}; 16 bits a
 * channel keep their values.
 *
 * <p>An image is decoded when it is first asked for, by as many threads as there are processors
 * ({@link java.util.concurrent.ForkJoinPool#commonPool}). So a file that is no image, is damaged or
 * cut off, or has more than 89,478,485 pixels is found then. What is seen of images is kept in
 * memory, as many as fit into an eighth of the heap, and not after {@link #randomResizedCrop}; the
 * others are decoded each time. What is written to the folder later is not seen, or only in part:
 * find the images anew then. Immutable and thread-safe; there is nothing to close.
 */
public final class ImageFolder implements Dataset {

  /** What the text of {@link #transforms} begins with where a training sees random parts. */
  public static final String RANDOM_CROP = "RandomResizedCrop";

  private final Path folder;
  private final ClassFolders content;
  private final Framing framing;

  /** Whether a training sees random parts. */
  private final boolean cropped;

  /** What is seen of each image. */
  private final IntFunction<FramedImage> images;

  private volatile Long checksum;

  private ImageFolder(
      Path folder,
      ClassFolders content,
      Framing framing,
      boolean cropped,
      IntFunction<FramedImage> images) {
    this.folder = folder;
    this.content = content;
    this.framing = framing;
    this.cropped = cropped;
    this.images = images;
  }

  private ImageFolder(Path folder, ClassFolders content, Framing framing, boolean cropped) {
    this(
        folder,
        content,
        framing,
        cropped,
        cropped
            ? index -> content.decode(index, framing)
            : new DecodedImages(content.files().size(), index -> content.decode(index, framing)));
  }

  /**
   * Finds the images of a folder. Its classes are the folders in it, numbered from 0 in the order
   * of their names.
   *
   * @throws ActclipException bad input, naming it, when there is no such folder, or none in it, one
   *     without an image, or a file that is empty or cannot be read
   */
  public static ImageFolder of(Path folder) {
    return new ImageFolder(folder, ClassFolders.of(folder), Framing.NONE, false);
  }

  /**
   * Whether a folder looks like one of these: files in folders there have names of images, such as
   * HEIC that {@link #of} does not read.
   *
   * @throws ActclipException bad input, when it cannot be read
   */
  public static boolean isAt(Path folder) {
    return ClassFolders.areIn(folder);
  }

  /**
   * Finds the images of another folder with the classes and the sizes of this one, such as a
   * test's. It may lack classes.
   *
   * @throws ActclipException bad input, as {@link #of}, and when it has another class
   */
  public ImageFolder like(Path other) {
    return new ImageFolder(other, ClassFolders.like(other, classes()), framing, false);
  }

  /**
   * The same, as squares: the shorter side is resized to so many pixels, as by torchvision's {@code
   * Resize} with antialiasing, and what the longer one then has over is cut off at both ends.
   *
   * @param size 1 to 8192
   * @throws ActclipException bad input, when it is out of range, or {@link #centerCrop} came before
   */
  public ImageFolder resize(int size) {
    return new ImageFolder(folder, content, framing.resized(size), cropped);
  }

  /**
   * The same, of which only a square in the middle is seen; after {@link #resize}, or without it.
   *
   * @param size 1 to 8192, at most that of {@link #resize}
   * @throws ActclipException bad input, when it is out of range
   */
  public ImageFolder centerCrop(int size) {
    return new ImageFolder(folder, content, framing.cropped(size), cropped);
  }

  /**
   * The same, of which a training sees another part in each epoch, by chance, resized to what
   * {@link #resize} or {@link #centerCrop} made of it before: torchvision's {@code
   * RandomResizedCrop} with antialiasing. A part has 8 % to 100 % of the image's pixels, and sides
   * of 3:4 to 4:3. It depends on the training's seed, the epoch and the image's number: see {@link
   * DataLoader#shuffled}. Outside of it, and by {@link #like}, images are seen as without it.
   *
   * @throws ActclipException bad input, when the size was not said
   */
  public ImageFolder randomResizedCrop() {
    if (framing.crop() == 0) {
      throw ActclipException.badInput(
          "randomResizedCrop makes images of the size that was said: call resize before");
    }
    return new ImageFolder(folder, content, framing, true);
  }

  /** Other parts in each epoch after {@link #randomResizedCrop}; else the same. */
  @Override
  public ImageFolder ofEpoch(long seed, int epoch) {
    if (!cropped) {
      return this;
    }
    long own = Seeds.next(seed); // what transforms draw is independent of it
    return new ImageFolder(
        folder,
        content,
        framing,
        true,
        index ->
            content.decode(
                index, new RandomCrop(framing.crop(), Seeds.ofSample(own, epoch, index))));
  }

  /** How many images there are. */
  @Override
  public int size() {
    return content.files().size();
  }

  /** The names of the classes, by their numbers. */
  @Override
  public List<String> classes() {
    return content.classes();
  }

  /**
   * The file of an image.
   *
   * @throws ActclipException bad input, when there is no such image
   */
  public Path file(int index) {
    Indices.require(this, new int[] {index});
    return content.files().get(index).path();
  }

  /**
   * Decodes images.
   *
   * @return float32 (B, 3, H, W) in channels-last memory format, from 0 to 1, and their classes,
   *     int64 (B); the open scope's, or the caller's to close
   * @throws ActclipException bad input, naming the file, when one cannot be decoded, when they are
   *     not of one size, which {@link #resize} makes them; when there is no such image, or they
   *     have more than 2 GiB
   */
  @Override
  public Batch batch(int... indices) {
    Indices.require(this, indices);
    List<FramedImage> seen = IntStream.of(indices).parallel().mapToObj(images).toList();
    long[] labels = IntStream.of(indices).mapToLong(i -> content.files().get(i).label()).toArray();
    try (TensorScope scope = new TensorScope()) {
      return new Batch(
          scope.pass(FramedImage.stack(name(), seen)), scope.pass(torch.tensor(labels)));
    }
  }

  /** Of an image that is seen as a test sees these. */
  @Override
  public Preprocessing preprocessing() {
    return Preprocessing.ofImages(this, framing);
  }

  /** The name of the folder. */
  @Override
  public String name() {
    return String.valueOf(folder.toAbsolutePath().normalize().getFileName());
  }

  /** The folder's absolute path. */
  @Override
  public String source() {
    return folder.toAbsolutePath().normalize().toString();
  }

  /**
   * The CRC-32C of the names of the classes, and of each file's name, size and last 4,096 bytes: of
   * a file of the same size that was changed before these, it knows nothing.
   */
  @Override
  public long checksum() {
    Long known = checksum; // Every checkpoint asks; two threads may compute the same.
    if (known == null) {
      known = content.checksum();
      checksum = known;
    }
    return known;
  }

  /**
   * What is done to each image: {@code Resize(72)}, {@code CenterCrop(64)}; or in a training,
   * {@code RandomResizedCrop(64)}.
   */
  @Override
  public List<String> transforms() {
    return cropped ? List.of(RANDOM_CROP + "(" + framing.crop() + ")") : framing.texts();
  }
}
