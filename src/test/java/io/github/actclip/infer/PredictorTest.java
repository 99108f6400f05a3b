package io.github.actclip.infer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.data.Augmentation;
import io.github.actclip.data.CsvDataset;
import io.github.actclip.data.CsvOptions;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.ImageFolder;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Preprocessing;
import io.github.actclip.data.Split;
import io.github.actclip.data.TestData;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Evaluator;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a predictor says is what the network says of the training's own test data. */
class PredictorTest {

  static {
    LibTorch.load();
  }

  private static final PredictorOptions ON_CPU = PredictorOptions.builder().device("cpu").build();

  @TempDir Path folder;

  /** Two columns, two classes. */
  private static final class Rows extends Network {

    private final LinearImpl linear = register("linear", new LinearImpl(2, 2));

    @Override
    public Tensor forward(Tensor x) {
      return linear.forward(x);
    }
  }

  private static Path write(Path file, Network network, Preprocessing preprocessing) {
    TensorScope.run(
        () ->
            StateDict.write(
                file, StateDict.of(network), Map.of(Preprocessing.NOTE, Json.line(preprocessing))));
    return file;
  }

  /** What a network makes of samples of a data set in one batch. */
  private static float[][] outputs(Network network, Dataset data, int... indices) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      network.eval();
      Tensor output = network.forward(data.batch(indices).data()).contiguous();
      FloatBuffer values = output.createBuffer();
      float[][] rows = new float[indices.length][(int) output.size(1)];
      for (float[] row : rows) {
        values.get(row);
      }
      return rows;
    }
  }

  private static void assertOutputs(float[][] expected, List<Prediction> predictions) {
    for (int i = 0; i < expected.length; i++) {
      assertArrayEquals(expected[i], predictions.get(i).outputs(), "sample " + i);
    }
  }

  private static float[] values(Dataset data, int index) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor sample = data.batch(index).data().contiguous();
      float[] values = new float[(int) sample.numel()];
      sample.<FloatBuffer>createBuffer().get(values);
      return values;
    }
  }

  private static BufferedImage image(Dataset grey, int index) {
    float[] values = values(grey, index);
    BufferedImage image = new BufferedImage(28, 28, BufferedImage.TYPE_BYTE_GRAY);
    for (int y = 0; y < 28; y++) {
      for (int x = 0; x < 28; x++) {
        image.getRaster().setSample(x, y, 0, Math.round(255 * values[(y + 2) * 32 + x + 2]));
      }
    }
    return image;
  }

  private static byte[] png(BufferedImage image) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ImageIO.write(image, "png", out);
    return out.toByteArray();
  }

  @Test
  void everyInputOfAnImageGivesTheBitsOfTheDataSet() throws IOException {
    ImageDataset images = TestData.first(20);
    Dataset normalized = images.transformed(Normalization.of(images));
    Net net = new Net();
    Path file = write(folder.resolve("net.safetensors"), net, normalized.preprocessing());
    try (Predictor predictor = Predictor.load(file, Net::new, ON_CPU)) {
      for (int i = 0; i < 3; i++) {
        float[] expected = outputs(net, normalized, i)[0];
        float[] values = values(images, i);
        ByteBuffer pixels = ByteBuffer.allocate(1 + values.length).position(1);
        for (int pixel = 0; pixel < 32 * 32; pixel++) {
          for (int channel = 0; channel < 3; channel++) {
            pixels.put((byte) Math.round(255 * values[channel * 32 * 32 + pixel]));
          }
        }
        BufferedImage image = image(images, i);
        Path png = Files.write(folder.resolve("image.png"), png(image));
        assertArrayEquals(expected, predictor.predict(values).outputs());
        assertArrayEquals(expected, predictor.predict(FloatBuffer.wrap(values)).outputs());
        assertArrayEquals(expected, predictor.predict(pixels.position(1)).outputs());
        assertEquals(1, pixels.position());
        assertArrayEquals(expected, predictor.predict(image).outputs());
        assertArrayEquals(
            expected, predictor.predict(new ByteArrayInputStream(png(image))).outputs());
        assertArrayEquals(expected, predictor.predict(png).outputs());
      }
    }
  }

  @Test
  void batchesHaveTheBitsOfTheEvaluator() {
    int count = 600;
    ImageDataset images = TestData.first(count);
    Net net = new Net();
    PredictorOptions options =
        PredictorOptions.builder()
            .device("cpu")
            .threads(LibTorch.threads())
            .largestBatch(250) // as the evaluator's
            .preprocessing(images.preprocessing())
            .build();
    try (Predictor predictor = Predictor.of(net, options)) {
      List<Prediction> predictions =
          predictor.predictAll(
              IntStream.range(0, count)
                  .mapToObj(i -> predictor.sample(values(images, i)))
                  .toList());
      assertOutputs(
          outputs(net, images, IntStream.range(0, 250).toArray()), predictions.subList(0, 250));
      assertOutputs(
          outputs(net, images, IntStream.range(500, 600).toArray()), predictions.subList(500, 600));
      long right =
          IntStream.range(0, count)
              .filter(i -> predictions.get(i).top().index() == images.label(i))
              .count();
      assertEquals(
          Evaluator.evaluate(net, images, Devices.of("cpu")).accuracy(),
          (double) right / count,
          1e-12);
      Prediction.Ranked top = predictions.get(0).top();
      assertEquals(images.classes().get(top.index()), top.label());
    }
  }

  @Test
  void theFolderOfATrainingSaysWhatItsImagesWere() throws IOException {
    for (String name : List.of("red/a.png", "red/b.jpg", "tall blue/c.png", "tall blue/d.png")) {
      int blue = name.startsWith("tall") ? 200 : 0;
      BufferedImage image = new BufferedImage(20, 40 + blue, BufferedImage.TYPE_INT_RGB);
      Random random = new Random(name.hashCode());
      for (int i = 0; i < 20 * (40 + blue); i++) {
        image.setRGB(i % 20, i / 20, random.nextInt(1 << 24) | blue);
      }
      Path file = folder.resolve("photos").resolve(name);
      Files.createDirectories(file.getParent());
      ImageIO.write(image, name.substring(name.lastIndexOf('.') + 1), file.toFile());
    }
    ImageFolder photos = ImageFolder.of(folder.resolve("photos")).resize(19).centerCrop(16);
    Normalization normalization = Normalization.of(photos);
    Dataset test = photos.transformed(normalization);
    Path run = folder.resolve("run");
    Net net = new Net(new NetOptions(3, 16, 2));
    train(net, run, photos.transformed(new Augmentation(2, true), normalization), test);

    try (Predictor predictor =
        Predictor.load(run, () -> new Net(new NetOptions(3, 16, 2)), ON_CPU)) {
      for (int i = 0; i < photos.size(); i++) {
        Prediction prediction = predictor.predict(photos.file(i));
        assertArrayEquals(outputs(net, test, i)[0], prediction.outputs());
        assertTrue(photos.classes().contains(prediction.top().label()));
      }
      assertEquals(test.preprocessing(), predictor.preprocessing());
      assertEquals(List.of("red", "tall blue"), predictor.preprocessing().classes());
    }
  }

  private static void train(Network network, Path folder, Dataset train, Dataset test) {
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.SGD).epochs(1).batchSize(2).build();
    try (Run run = Run.in(folder)) {
      new Trainer(network, options, Devices.of("cpu")).with(run).fit(train, test);
    }
  }

  @Test
  void theFolderOfATrainingSaysHowItsColumnsWereNormalised() throws IOException {
    Path table = folder.resolve("rows.csv");
    Files.writeString(table, "height,width,kind\n1,200,a\n3,100,b\n2,400,a\n5,150,b\n");
    CsvDataset rows = CsvDataset.read(table, CsvOptions.classes("kind"));
    Dataset test = rows.transformed(Normalization.of(rows));
    Rows network = new Rows();
    train(network, folder.resolve("run"), test, test);
    try (Predictor predictor = Predictor.load(folder.resolve("run"), Rows::new)) {
      assertArrayEquals(outputs(network, test, 1)[0], predictor.predict(3, 100).outputs());
      assertArrayEquals(outputs(network, test, 2)[0], predictor.predict(2, 400).outputs());
      assertEquals(List.of("a", "b"), predictor.preprocessing().classes());
      BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_INT_RGB);
      assertBadInput(
          () -> predictor.predict(image),
          "the network was trained with values of shape [2] and not with images: give values");
      assertBadInput(() -> predictor.predict(ByteBuffer.allocate(2)), "give floats");
    }
  }

  private static void assertBadInput(Runnable call, String part) {
    ActclipException e = assertThrows(ActclipException.class, call::run);
    assertTrue(e.isBadInput());
    assertEquals(1, e.getMessage().lines().count());
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }

  @Test
  void weightsThatDoNotSayWhatWasDoneTakeItByHand() {
    Path file = folder.resolve("rows.pt");
    Rows network = new Rows();
    TensorScope.run(() -> StateDict.write(file, StateDict.of(network)));
    assertBadInput(
        () -> Predictor.load(file, Rows::new),
        "rows.pt does not say what was done to the data of its training, being older or from"
            + " elsewhere: give PredictorOptions.preprocessing");
    PredictorOptions byHand =
        PredictorOptions.builder().preprocessing(Preprocessing.ofValues(2)).build();
    try (Predictor predictor = Predictor.load(file, Rows::new, byHand)) {
      assertEquals(List.of("0", "1"), labels(predictor.predict(1, 2)));
    }
  }

  private static List<String> labels(Prediction prediction) {
    return prediction.top(9).stream().map(Prediction.Ranked::label).sorted().toList();
  }

  @Test
  void whatCannotBeServedIsSaid() throws IOException {
    Path file = folder.resolve("rows.safetensors");
    Dataset own = TestData.first(1).transformed((data, seeds) -> data.flatten(1, -1));
    write(file, new Rows(), own.preprocessing());
    assertBadInput(
        () -> Predictor.load(file, Rows::new), "which nobody else can do: give the preprocessing");
    assertBadInput(() -> Predictor.load(folder, Rows::new), "it has no model.safetensors");
    assertBadInput(() -> Predictor.load(folder.resolve("x.pt"), Rows::new), "x.pt");
    write(file, new Rows(), Preprocessing.ofValues(3));
    ActclipException e =
        assertThrows(ActclipException.class, () -> Predictor.load(file, Rows::new));
    assertTrue(e.getMessage().startsWith("the network Rows fails on data of shape [1, 3]"));
    write(file, new Net(), Preprocessing.ofValues(2));
    assertBadInput(() -> Predictor.load(file, Rows::new), "has no weights for this network");
  }

  @Test
  void imagesThatCannotBeSeenAreSaid() throws IOException {
    ImageDataset images = ImageDataset.embedded(Split.TEST);
    PredictorOptions options =
        PredictorOptions.builder()
            .device("cpu")
            .mostPixels(28 * 28)
            .warmUp(1)
            .preprocessing(images.preprocessing())
            .build();
    try (Net net = new Net();
        Predictor predictor = Predictor.of(net, options)) {
      byte[] png = png(image(images, 0));
      predictor.predict(new ByteArrayInputStream(png));
      assertBadInput(
          () -> predictor.predict(new ByteArrayInputStream(png, 0, png.length / 2)),
          "the image is damaged or cut off");
      assertBadInput(
          () ->
              predictor.predict(
                  new ByteArrayInputStream("%PDF-1.7".getBytes(StandardCharsets.US_ASCII))),
          "the image is PDF: save its pages as PNG");
      assertBadInput(
          () -> predictor.predict(new ByteArrayInputStream(new byte[100])), "the image is not one");
      assertBadInput(
          () -> predictor.predict(new ByteArrayInputStream(new byte[0])), "the image is empty");
      BufferedImage large = new BufferedImage(29, 28, BufferedImage.TYPE_INT_RGB);
      byte[] largePng = png(large);
      assertBadInput(() -> predictor.predict(large), "at most 784");
      assertBadInput(() -> predictor.predict(new ByteArrayInputStream(largePng)), "at most 784");
      assertBadInput(() -> predictor.predict(ByteBuffer.allocate(7)), "7 bytes were given");
      assertBadInput(() -> predictor.predict(folder.resolve("none.png")), "is missing");
    }
  }

  /** Of colours, PIL's formula; of a size that is not the network's, torchvision's resize. */
  @Test
  void coloursBecomeGreyWhereTheTrainingsImagesWere() {
    try (Net net = new Net();
        Predictor predictor =
            Predictor.of(
                net,
                PredictorOptions.builder()
                    .device("cpu")
                    .preprocessing(TestData.first(1).preprocessing())
                    .build())) {
      BufferedImage coloured = new BufferedImage(56, 70, BufferedImage.TYPE_INT_RGB);
      BufferedImage grey = new BufferedImage(56, 70, BufferedImage.TYPE_INT_RGB);
      for (int i = 0; i < 56 * 70; i++) {
        coloured.setRGB(i % 56, i / 56, 0xff0000);
        grey.setRGB(i % 56, i / 56, 0x4c4c4c); // 0.299 · 255 = 76.2
      }
      assertArrayEquals(
          predictor.predict(grey).outputs(), predictor.predict(coloured).outputs(), 0.01f);
    }
  }

  /** Identity times a factor. */
  private static Rows times(double factor) {
    Rows rows = new Rows();
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> state = StateDict.of(rows);
      state.get("linear.weight").copy_(torch.eye(2).mul(new Scalar(factor)));
      state.get("linear.bias").zero_();
    }
    return rows;
  }

  @Test
  void aSwapUnderLoadLosesAndMixesNothing() throws Exception {
    Preprocessing plain = Preprocessing.ofValues(2).named(List.of("old 0", "old 1"));
    Normalization minusOne = new Normalization(List.of(1.0, 1.0), List.of(0.5, 0.5));
    Path old = write(folder.resolve("old.safetensors"), times(1), plain);
    Path young =
        write(
            folder.resolve("young.safetensors"),
            times(16),
            plain.normalized(minusOne).named(List.of("young 0", "young 1")));
    List<Network> made = new ArrayList<>();
    PredictorOptions options =
        PredictorOptions.builder().device("cpu").workers(2).threads(1).largestBatch(8).build();
    try (Predictor predictor =
        Predictor.load(
            old,
            () -> {
              Rows rows = new Rows();
              made.add(rows);
              return rows;
            },
            options)) {
      Load load = new Load(predictor);
      List<Thread> callers =
          IntStream.range(0, 4).mapToObj(i -> new Thread(load, "caller " + i)).toList();
      callers.forEach(Thread::start);
      load.await(200);
      for (int i = 0; i < 5; i++) {
        predictor.swap(i % 2 == 0 ? young : old);
        boolean isYoung = i % 2 == 0;
        assertEquals(isYoung ? 96 : 4, predictor.predict(4, 0).outputs()[0]);
        load.await(200);
      }
      load.stopped = true;
      for (Thread caller : callers) {
        caller.join();
      }
      assertEquals(List.of(), load.wrong);
      assertEquals(6, made.size());
      assertTrue(
          made.subList(0, 5).stream().allMatch(network -> network.isNull()), "old ones are let go");

      Path other =
          write(folder.resolve("other.safetensors"), times(1), Preprocessing.ofValues(1, 2));
      assertBadInput(() -> predictor.swap(other), "load another predictor");
      assertEquals(96, predictor.predict(4, 0).outputs()[0]);
    }
    assertTrue(made.stream().allMatch(network -> network.isNull()));
  }

  @Test
  void virtualThreadsLoadAskSwapAndClose() throws Exception {
    assumeTrue(Runtime.version().feature() >= 21, "this JVM has no virtual threads");
    Path old = write(folder.resolve("old.pt"), times(1), Preprocessing.ofValues(2));
    Path young = write(folder.resolve("young.pt"), times(2), Preprocessing.ofValues(2));
    ExecutorService threads = PredictorQueueTest.virtualThreadsOr(Executors.newCachedThreadPool());
    float[] answers =
        threads
            .submit(
                () -> {
                  try (Predictor predictor = Predictor.load(old, Rows::new, ON_CPU)) {
                    float first = predictor.predict(3, 0).outputs()[0];
                    predictor.swap(young);
                    return new float[] {first, predictor.predict(3, 0).outputs()[0]};
                  }
                })
            .get();
    threads.shutdown();
    assertArrayEquals(new float[] {3, 6}, answers);
  }

  /** Asks until it is stopped, and notes what neither network would answer. */
  private static final class Load implements Runnable {

    private final Predictor predictor;
    private final AtomicLong answers = new AtomicLong();
    final List<String> wrong = new CopyOnWriteArrayList<>();
    volatile boolean stopped;

    Load(Predictor predictor) {
      this.predictor = predictor;
    }

    @Override
    public void run() {
      Random random = new Random(Thread.currentThread().getName().hashCode());
      while (!stopped) {
        float x = random.nextInt(1000);
        try {
          Prediction prediction = predictor.predict(x, -x);
          float[] outputs = prediction.outputs();
          boolean isOld = outputs[0] == x && outputs[1] == -x;
          boolean isYoung = outputs[0] == 32 * (x - 1) && outputs[1] == 32 * (-x - 1);
          String label = prediction.top().label();
          if (!(isOld && label.startsWith("old") || isYoung && label.startsWith("young"))) {
            wrong.add(x + " gave " + prediction + " " + outputs[0]);
          }
        } catch (RuntimeException e) {
          wrong.add(e.toString());
        }
        answers.incrementAndGet();
      }
    }

    void await(int more) {
      long until = answers.get() + more;
      while (answers.get() < until) {
        Thread.onSpinWait();
      }
    }
  }
}
