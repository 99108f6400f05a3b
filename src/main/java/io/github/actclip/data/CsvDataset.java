package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The rows of a CSV file: some columns are what a network is given, one is what it is to say.
 *
 * <pre>{@code
 * CsvDataset train = CsvDataset.read(Path.of("train.csv"), CsvOptions.classes("species"));
 * CsvDataset test = train.like(Path.of("test.csv"));
 * Normalization normalization = Normalization.of(train);
 * DataLoader loader = DataLoader.shuffled(train.transformed(normalization), 64, 0, device);
 * }</pre>
 *
 * <p>The file is in UTF-8, its first line has the names of the columns; cells may be in quotes, and
 * empty lines are left out. Numbers have a decimal point, whatever the locale. A row has to be
 * whole: no cell that is used may be empty.
 *
 * <p>All is on the Java heap, so there is nothing to close. Immutable and thread-safe.
 */
public final class CsvDataset implements Dataset {

  private final Path path;
  private final CsvOptions options;
  private final CsvTable table;
  private final long checksum;

  private CsvDataset(Path path, CsvOptions options, CsvClasses classes) {
    this.path = path;
    this.table = CsvTable.read(path, options, classes);
    this.options = options.features(table.features().toArray(String[]::new));
    this.checksum = table.checksum();
  }

  /**
   * Reads a file. Its classes are numbered from 0 in the order of their names, or of their values
   * where all are whole numbers.
   *
   * @throws ActclipException bad input, naming file, line and column, when something is missing or
   *     cannot be used; when there is no row, or more than 256 MiB of numbers
   */
  public static CsvDataset read(Path file, CsvOptions options) {
    return new CsvDataset(file, options, CsvClasses.any());
  }

  /**
   * Reads another file with the columns and the classes of this one, such as a test's. Its columns
   * may be in another order, and it may have more.
   *
   * @throws ActclipException bad input, as {@link #read}, and when it has another class
   */
  public CsvDataset like(Path file) {
    return new CsvDataset(file, options, CsvClasses.only(classes()));
  }

  /** The names of the columns that a network is given, in the order of its data. */
  public List<String> features() {
    return table.features();
  }

  /** The names of the classes, by their numbers; empty where the target is a number. */
  @Override
  public List<String> classes() {
    return table.classes();
  }

  /** How many rows there are. */
  @Override
  public int size() {
    return table.rows();
  }

  /**
   * Makes a batch of rows.
   *
   * @return data float32 (B, F); target float32 (B, 1), or of classes int64 (B); the open scope's,
   *     or the caller's to close
   * @throws ActclipException bad input, when there is no such row
   */
  @Override
  public Batch batch(int... indices) {
    Indices.require(this, indices);
    try (TensorScope scope = new TensorScope()) {
      float[] data = new float[indices.length * features().size()];
      float[] target = new float[indices.length];
      for (int i = 0; i < indices.length; i++) {
        int from = indices[i] * table.width();
        System.arraycopy(table.values(), from, data, i * features().size(), features().size());
        target[i] = table.values()[from + features().size()];
      }
      Tensor rows = torch.tensor(data).view(indices.length, features().size());
      Tensor column = torch.tensor(target);
      Tensor targets =
          options.ofClasses() ? column.to(ScalarType.Long) : column.view(indices.length, 1);
      return new Batch(scope.pass(rows), scope.pass(targets));
    }
  }

  /** The name of the file. */
  @Override
  public String name() {
    return String.valueOf(path.getFileName());
  }

  /** The file's absolute path. */
  @Override
  public String source() {
    return path.toAbsolutePath().normalize().toString();
  }

  /** The CRC-32C of the numbers, row by row, and of the names of the classes. */
  @Override
  public long checksum() {
    return checksum;
  }
}
