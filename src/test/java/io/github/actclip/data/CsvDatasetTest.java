package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.floats;
import static io.github.actclip.data.TestData.longs;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class CsvDatasetTest {

  private static final CsvOptions PRICE = CsvOptions.number("price");
  private static final CsvOptions KIND = CsvOptions.classes("kind");

  @TempDir Path folder;

  private Path file(String text) {
    return file("data.csv", text.getBytes(StandardCharsets.UTF_8));
  }

  private Path file(String name, byte... content) {
    try {
      return Files.write(folder.resolve(name), content);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static float[] data(Dataset dataset) {
    return part(dataset, false);
  }

  private static float[] target(Dataset dataset) {
    return part(dataset, true);
  }

  private static float[] part(Dataset dataset, boolean target) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Batch batch = dataset.batch(IntStream.range(0, dataset.size()).toArray());
      return floats(target ? batch.target() : batch.data());
    }
  }

  private static long[] classNumbers(Dataset dataset) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return longs(dataset.batch(IntStream.range(0, dataset.size()).toArray()).target());
    }
  }

  @Test
  void aNumberIsTheTarget() {
    CsvDataset dataset = CsvDataset.read(file("size,price,rooms\n1.5,100,3\n-2e1,.5,4\n"), PRICE);
    assertEquals(2, dataset.size());
    assertEquals(List.of("size", "rooms"), dataset.features());
    assertEquals(List.of(), dataset.classes());
    assertArrayEquals(new float[] {1.5f, 3, -20, 4}, data(dataset));
    assertArrayEquals(new float[] {100, 0.5f}, target(dataset));
    assertEquals("data.csv", dataset.name());
    assertEquals(folder.resolve("data.csv").toString(), dataset.source());
    TensorScope.run(
        () -> {
          Batch batch = dataset.batch(1);
          assertArrayEquals(new long[] {1, 2}, batch.data().shape());
          assertArrayEquals(new long[] {1, 1}, batch.target().shape());
          assertArrayEquals(new float[] {-20, 4}, floats(batch.data()));
        });
  }

  @Test
  void classesAreNumberedInTheOrderOfTheirNames() {
    CsvDataset dataset = CsvDataset.read(file("kind,x\nowl,1\ncat,2\nowl,3\nant,4\n"), KIND);
    assertEquals(List.of("ant", "cat", "owl"), dataset.classes());
    assertArrayEquals(new long[] {2, 1, 2, 0}, classNumbers(dataset));
    TensorScope.run(() -> assertArrayEquals(new long[] {2}, dataset.batch(1, 3).target().shape()));
  }

  @Test
  void wholeNumbersAreClassesInTheOrderOfTheirValues() {
    CsvDataset dataset = CsvDataset.read(file("kind,x\n10,1\n9,2\n-1,3\n10,4\n"), KIND);
    assertEquals(List.of("-1", "9", "10"), dataset.classes());
    assertArrayEquals(new long[] {2, 1, 0, 2}, classNumbers(dataset));
  }

  @Test
  void aTestFileHasTheColumnsAndClassesOfTheTrainingFile() {
    CsvDataset train = CsvDataset.read(file("x,y,kind\n1,2,owl\n3,4,cat\n5,6,ant\n"), KIND);
    CsvDataset test =
        train.like(file("test.csv", "id,kind,y,x\n7,owl,8,9\n".getBytes(StandardCharsets.UTF_8)));
    assertEquals(train.classes(), test.classes());
    assertEquals(List.of("x", "y"), test.features());
    assertArrayEquals(new float[] {9, 8}, data(test));
    assertArrayEquals(new long[] {2}, classNumbers(test));
    Path other = file("other.csv", "x,y,kind\n1,2,cat\n1,2,dog\n".getBytes(StandardCharsets.UTF_8));
    assertBadInput(
        () -> train.like(other),
        "other.csv, line 3, column \"kind\"",
        "\"dog\" is none of the 3",
        "\"ant\"");
  }

  @Test
  void featuresAreThoseThatAreNamedInTheirOrder() {
    Path file = file("a,price,note,b\n1,2,dear,3\n4,5,,6\n");
    CsvDataset dataset = CsvDataset.read(file, PRICE.features("b", "a"));
    assertEquals(List.of("b", "a"), dataset.features());
    assertArrayEquals(new float[] {3, 1, 6, 4}, data(dataset));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "x,price\n1,2\n3,4\n",
        "x,price\n1,2\n3,4",
        "x,price\r\n1,2\r\n3,4\r\n",
        "\ufeffx,price\n1,2\n3,4\n",
        "\"x\",\"price\"\n\"1\",\"2\"\n\"3\",4\n",
        " x , price\n 1 ,2 \n3,\t4\n",
        "\n\nx,price\n\n1,2\n\n3,4\n\n\n",
        "x,price\n+1,2.\n3.0e0,0.4E1\n"
      })
  void theSameRowsInOtherSpellings(String text) {
    CsvDataset dataset = CsvDataset.read(file(text), PRICE);
    assertArrayEquals(new float[] {1, 3}, data(dataset));
    assertArrayEquals(new float[] {2, 4}, target(dataset));
    assertEquals(
        CsvDataset.read(file("x,price\n1,2\n3,4\n"), PRICE).checksum(), dataset.checksum());
  }

  @Test
  void quotesHoldDelimitersAndQuotesAndLines() {
    CsvDataset dataset =
        CsvDataset.read(file("x,kind\n1,\"a,b\"\n2,\"say \"\"c\"\"\"\n3,\"two\nlines\"\n"), KIND);
    assertEquals(List.of("a,b", "say \"c\"", "two\nlines"), dataset.classes());
  }

  @Test
  void delimitersCanBeOthersAndTheLocaleDoesNotMatter() {
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.GERMANY);
    try {
      Path semicolons = file("x;price\n1.5;2\n");
      assertArrayEquals(
          new float[] {1.5f}, data(CsvDataset.read(semicolons, PRICE.delimiter(';'))));
      Path tabs = file("x\tprice\n1.5\t2\n");
      assertArrayEquals(new float[] {1.5f}, data(CsvDataset.read(tabs, PRICE.delimiter('\t'))));
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void theChecksumIsOfTheNumbersAndTheClasses() {
    long checksum = CsvDataset.read(file("x,kind\n1,a\n2,b\n"), KIND).checksum();
    assertEquals(checksum, CsvDataset.read(file("kind,x\na,1.0\nb,2\n"), KIND).checksum());
    for (String other : List.of("x,kind\n1,b\n2,a\n", "x,kind\n1,a\n2,c\n", "x,kind\n2,b\n1,a\n")) {
      assertNotEquals(checksum, CsvDataset.read(file(other), KIND).checksum());
    }
  }

  @Test
  void standardisedRowsHaveMeanZeroAndDeviationOne() {
    StringBuilder text = new StringBuilder("a,b,price\n");
    for (int i = 0; i < 100; i++) {
      text.append(i).append(',').append(1000 - 3 * i).append(",1\n");
    }
    CsvDataset train = CsvDataset.read(file(text.toString()), PRICE);
    Normalization normalization = Normalization.of(train);
    assertEquals(List.of(49.5, 851.5), normalization.mean());
    double deviation = Math.sqrt(9999 / 12.0);
    assertEquals(deviation, normalization.std().get(0), 1e-12);
    assertEquals(3 * deviation, normalization.std().get(1), 1e-12);
    float[] rows = data(train.transformed(normalization));
    assertEquals(-49.5 / deviation, rows[0], 1e-6);
    assertEquals(148.5 / (3 * deviation), rows[1], 1e-6);
  }

  @Test
  void aLoaderGoesThroughTheRows() {
    CsvDataset dataset = CsvDataset.read(file("x,price\n1,10\n2,20\n3,30\n"), PRICE);
    float[] sums = new float[2];
    for (Batch batch : DataLoader.shuffled(dataset, 2, 5, new Device("cpu"))) {
      sums[0] += floats(batch.data().sum())[0];
      sums[1] += floats(batch.target().sum())[0];
    }
    assertArrayEquals(new float[] {6, 60}, sums);
  }

  /** A file, and what is said of it. */
  static Stream<Arguments> mistakes() {
    String line3 = "data.csv, line 3, column \"x\": ";
    return Stream.of(
        Arguments.of(
            "x,y\n1,2\n", List.of("data.csv has no column \"price\": it has \"x\", \"y\"")),
        Arguments.of("1,2\n3,4\n", List.of("no column \"price\"", "first line has numbers")),
        Arguments.of("x;price\n1;2\n", List.of("only one is \"x;price\"", "delimiter")),
        Arguments.of("\n\n", List.of("data.csv has no line with the names")),
        Arguments.of("x,price\n", List.of("data.csv has no row")),
        Arguments.of("price\n1\n", List.of("data.csv has no column but \"price\"")),
        Arguments.of("x,x,price\n1,2,3\n", List.of("data.csv has two columns \"x\"")),
        Arguments.of("x,price,price\n1,2,3\n", List.of("data.csv has two columns \"price\"")),
        Arguments.of(",x,price\n0,1,2\n", List.of("data.csv has no name for column 1")),
        Arguments.of("x,price\n1,2\n,4\n", List.of(line3 + "the cell is empty")),
        Arguments.of("x,price\n1,2\n \"\" ,4\n", List.of("data.csv, line 3")),
        Arguments.of("x,price\n1,2\n3,\n", List.of("line 3, column \"price\": the cell is empty")),
        Arguments.of("x,price\n1,2\nred,4\n", List.of(line3 + "\"red\" is no number")),
        Arguments.of("x,price\n1,2\n\"1,5\",4\n", List.of(line3 + "\"1,5\" is no number", "point")),
        Arguments.of("x,price\n1,2\nNaN,4\n", List.of(line3 + "\"NaN\" is no number")),
        Arguments.of("x,price\n1,2\n-Infinity,4\n", List.of(line3 + "\"-Infinity\" is no number")),
        Arguments.of("x,price\n1,2\n0x1p3,4\n", List.of(line3 + "\"0x1p3\" is no number")),
        Arguments.of("x,price\n1,2\n1d,4\n", List.of(line3 + "\"1d\" is no number")),
        Arguments.of("x,price\n1,2\n1e39,4\n", List.of(line3 + "\"1e39\" is beyond float32")),
        Arguments.of("x,price\n1,2\n\"a\nb\",4\n", List.of(line3 + "\"a?b\" is no number")),
        Arguments.of(
            "x,price\n1,2\n" + "z".repeat(1000) + ",4\n", List.of(line3 + "\"zzz", "z…\"")),
        Arguments.of("x,price\n1,2\n1,5,4\n", List.of("line 3 has 3 cells", "names 2 columns")),
        Arguments.of("x,price\n1,2\n3\n", List.of("line 3 has 1 cells", "names 2 columns")),
        Arguments.of("x,price\n1,2\n\n\n3\n", List.of("line 5 has 1 cells")),
        Arguments.of(
            "x,price\n1,2\n\"3,4\n5,6\n", List.of("line 3 is not sound CSV", "closing quote")),
        Arguments.of("x,price\n1,2\n\"3\"4,6\n", List.of("line 3 is not sound CSV")),
        Arguments.of("\"x,price\n1,2\n", List.of("line 1 is not sound CSV")));
  }

  @ParameterizedTest
  @MethodSource("mistakes")
  void aMistakeIsSaidWithFileAndLineAndColumn(String text, List<Object> parts) {
    Path file = file(text);
    assertBadInput(() -> CsvDataset.read(file, PRICE), parts.toArray());
  }

  @Test
  void refusesFilesThatAreNone() {
    assertBadInput(() -> CsvDataset.read(folder.resolve("none.csv"), PRICE), "none.csv is missing");
    assertBadInput(() -> CsvDataset.read(folder, PRICE), folder, "not a regular file");
    assertBadInput(() -> CsvDataset.read(file(""), PRICE), "data.csv is empty");
    byte[] latin = "x,price\n\u00e9,2\n".getBytes(StandardCharsets.ISO_8859_1);
    assertBadInput(() -> CsvDataset.read(file("latin.csv", latin), PRICE), "latin.csv", "UTF-8");
    byte[] gzip = TestData.gzip("x,price\n1,2\n".getBytes(StandardCharsets.UTF_8));
    assertBadInput(() -> CsvDataset.read(file("data.csv.gz", gzip), PRICE), "data.csv.gz");
  }

  @Test
  void refusesACellThatIsAFile() {
    String endless = "x,price\n" + "1".repeat(21_000_000) + ",2\n";
    assertBadInput(() -> CsvDataset.read(file(endless), PRICE), "line 2", "maximum");
  }

  @Test
  void refusesClassesThatAreNumbersByMistake() {
    StringBuilder text = new StringBuilder("x,kind\n");
    for (int i = 0; i <= 65_536; i++) {
      text.append("1,").append(i).append(".5\n");
    }
    assertBadInput(
        () -> CsvDataset.read(file(text.toString()), KIND),
        "line 65538",
        "65536 classes",
        "number");
  }

  @Test
  void refusesOptionsThatCannotBe() {
    assertBadInput(() -> PRICE.features("x", "price"), "[x, price]", "\"price\"");
    assertBadInput(() -> PRICE.features("x", "x"), "[x, x]");
    assertBadInput(() -> PRICE.delimiter('"'), "code 34");
    assertBadInput(() -> PRICE.delimiter('\n'), "code 10");
    Path file = file("x,price\n1,2\n");
    assertBadInput(() -> CsvDataset.read(file, PRICE.features("y")), "no column \"y\"");
    assertBadInput(() -> CsvDataset.read(file, PRICE).batch(1), "data.csv has no sample 1");
  }

  @Test
  void aTableMayBeWide() {
    String names = String.join(",", IntStream.range(0, 3000).mapToObj(i -> "f" + i).toList());
    String row = String.join(",", Collections.nCopies(3000, "0.5"));
    CsvDataset dataset = CsvDataset.read(file(names + ",price\n" + row + ",1\n"), PRICE);
    assertEquals(3000, dataset.features().size());
    assertEquals(0.5f, data(dataset)[2999]);
  }
}
