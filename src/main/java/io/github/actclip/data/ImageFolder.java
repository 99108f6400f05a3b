package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

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
 * <p>Only names are in memory: an image is decoded each time it is asked for, by as many threads as
 * there are processors ({@link java.util.concurrent.ForkJoinPool#commonPool}). So a file that is no
 * image, is damaged or cut off, or has more than 89,478,485 pixels is found then. Immutable and
 * thread-safe; there is nothing to close.
 */
public final class ImageFolder implements Dataset {

  /** So much of the end of each file is in the checksum. */
  private static final int END_BYTES = 4096;

  private final Path folder;
  private final ClassFolders content;
  private final Framing framing;
  private volatile Long checksum;

  private ImageFolder(Path folder, ClassFolders content, Framing framing) {
    this.folder = folder;
    this.content = content;
    this.framing = framing;
  }

  /**
   * Finds the images of a folder. Its classes are the folders in it, numbered from 0 in the order
   * of their names.
   *
   * @throws ActclipException bad input, naming it, when there is no such folder, or none in it, one
   *     without an image, or a file that is empty or cannot be read
   */
  public static ImageFolder of(Path folder) {
    return new ImageFolder(folder, ClassFolders.of(folder), Framing.NONE);
  }

  /**
   * Finds the images of another folder with the classes and the sizes of this one, such as a
   * test's. It may lack classes.
   *
   * @throws ActclipException bad input, as {@link #of}, and when it has another class
   */
  public ImageFolder like(Path other) {
    return new ImageFolder(other, ClassFolders.like(other, classes()), framing);
  }

  /**
   * The same, as squares: the shorter side is resized to so many pixels, as by torchvision's {@code
   * Resize} with antialiasing, and what the longer one then has over is cut off at both ends.
   *
   * @param size 1 to 8192
   * @throws ActclipException bad input, when it is out of range, or {@link #centerCrop} came before
   */
  public ImageFolder resize(int size) {
    return new ImageFolder(folder, content, framing.resized(size));
  }

  /**
   * The same, of which only a square in the middle is seen; after {@link #resize}, or without it.
   *
   * @param size 1 to 8192, at most that of {@link #resize}
   * @throws ActclipException bad input, when it is out of range
   */
  public ImageFolder centerCrop(int size) {
    return new ImageFolder(folder, content, framing.cropped(size));
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
    List<FramedImage> images =
        IntStream.of(indices)
            .parallel()
            .mapToObj(index -> FramedImage.read(content.files().get(index).path(), framing))
            .toList();
    FramedImage first = images.get(0);
    for (FramedImage image : images) {
      requireSameSize(first, image);
    }
    requireRoom((long) images.size() * first.pixels().length);
    long[] shape = {images.size(), RgbRows.CHANNELS, first.rows(), first.columns()};
    long[] labels = IntStream.of(indices).mapToLong(i -> content.files().get(i).label()).toArray();
    try (TensorScope scope = new TensorScope()) {
      Tensor data =
          torch.empty(
              shape,
              new TensorOptions(ScalarType.Float),
              new MemoryFormatOptional(MemoryFormat.ChannelsLast));
      FloatBuffer pixels = data.permute(0, 2, 3, 1).createBuffer();
      images.forEach(image -> pixels.put(image.pixels()));
      return new Batch(scope.pass(data), scope.pass(torch.tensor(labels)));
    }
  }

  private static void requireSameSize(FramedImage first, FramedImage image) {
    if (!image.isAsLargeAs(first)) {
      throw ActclipException.badInput(
          "%s is seen %s and %s %s, and a batch has images of one size: call resize",
          DataFolder.shown(first.file()),
          first.size(),
          DataFolder.shown(image.file()),
          image.size());
    }
  }

  private void requireRoom(long values) {
    if (values > Integer.MAX_VALUE / Float.BYTES) {
      throw ActclipException.badInput(
          "A batch of %s would have %d values, more than 2 GiB: make it smaller, or resize",
          name(), values);
    }
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
      CRC32C crc = new CRC32C();
      classes().forEach(name -> crc.update((name + '\n').getBytes(StandardCharsets.UTF_8)));
      content.files().forEach(file -> update(crc, file));
      known = crc.getValue();
      checksum = known;
    }
    return known;
  }

  private static void update(CRC32C crc, ClassFolders.Entry file) {
    crc.update((file.name() + '\n' + file.bytes() + '\n').getBytes(StandardCharsets.UTF_8));
    try (SeekableByteChannel channel = Files.newByteChannel(file.path())) {
      ByteBuffer end = ByteBuffer.allocate(END_BYTES);
      channel.position(Math.max(0, channel.size() - END_BYTES));
      while (end.hasRemaining() && channel.read(end) >= 0) {
        continue;
      }
      crc.update(end.flip());
    } catch (IOException e) {
      throw ActclipException.badInput(
          "%s cannot be read: %s", DataFolder.shown(file.path()), e.getMessage());
    }
  }

  /** What is done to each image: {@code Resize(72)}, {@code CenterCrop(64)}. */
  @Override
  public List<String> transforms() {
    return framing.texts();
  }
}
