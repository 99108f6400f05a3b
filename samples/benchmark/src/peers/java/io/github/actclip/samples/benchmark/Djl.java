package io.github.actclip.samples.benchmark;

import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Activation;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.nn.convolutional.Conv2d;
import ai.djl.nn.core.Linear;
import ai.djl.nn.pooling.Pool;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import ai.djl.training.Trainer;
import ai.djl.training.initializer.Initializer;
import ai.djl.training.loss.Loss;
import ai.djl.training.loss.SoftmaxCrossEntropyLoss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import ai.djl.util.PairList;

/** Net in DJL with its PyTorch engine. */
final class Djl {

  private Djl() {}

  /**
   * Takes {@code step} or {@code forward} and the batch size, or {@code predict} and the number of
   * callers; threads and {@code float32}.
   */
  public static void main(String[] args) {
    if (!args[3].equals("float32") || !args[4].equals(Architecture.NET.name())) {
      return;
    }
    boolean predicts = args[0].equals("predict");
    int size = Integer.parseInt(args[1]);
    int batch = predicts ? 1 : size;
    String threads = predicts && size > 1 ? "1" : args[2]; // Callers are threads enough.
    System.setProperty("OPT_OUT_TRACKING", "true");
    System.setProperty("ai.djl.pytorch.num_threads", threads);
    DefaultTrainingConfig config =
        new DefaultTrainingConfig(new SoftmaxCrossEntropyLoss())
            .optOptimizer(Optimizer.sgd().setLearningRateTracker(Tracker.fixed(0.001f)).build());
    try (Model model = Model.newInstance("net", "PyTorch")) {
      model.setBlock(new Net());
      try (Trainer trainer = model.newTrainer(config)) {
        trainer.initialize(new Shape(batch, 3, 32, 32));
        NDManager manager = trainer.getManager();
        NDArray images = manager.randomNormal(new Shape(batch, 3, 32, 32));
        NDArray labels = manager.zeros(new Shape(batch));
        Loss loss = config.getLossFunction();
        String torch = Engine.getEngine("PyTorch").getVersion();
        String name = "DJL " + Engine.getDjlVersion() + ", " + torch;
        if (predicts) {
          float[] pixels = images.toFloatArray();
          Passes.serve(name, new Callers(size, () -> asking(model, pixels)));
          return;
        }
        Runnable pass =
            args[0].equals("step")
                ? () -> step(trainer, loss, images, labels)
                : () -> forward(trainer, images);
        Passes.serve(name, pass);
      }
    }
  }

  /** A predictor of DJL's is for one thread. */
  private static Runnable asking(Model model, float[] pixels) {
    Predictor<float[], float[]> predictor = model.newPredictor(new Pixels());
    return () -> {
      try {
        predictor.predict(pixels);
      } catch (TranslateException e) {
        throw new IllegalStateException(e);
      }
    };
  }

  private static final class Pixels implements Translator<float[], float[]> {

    @Override
    public NDList processInput(TranslatorContext context, float[] pixels) {
      return new NDList(context.getNDManager().create(pixels, new Shape(3, 32, 32)));
    }

    @Override
    public float[] processOutput(TranslatorContext context, NDList logits) {
      return logits.singletonOrThrow().toFloatArray();
    }
  }

  private static void step(Trainer trainer, Loss loss, NDArray images, NDArray labels) {
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      try (GradientCollector collector = trainer.newGradientCollector()) {
        NDList logits = trainer.forward(new NDList(images));
        collector.backward(loss.evaluate(new NDList(labels), logits));
      }
      trainer.step();
    }
  }

  private static void forward(Trainer trainer, NDArray images) {
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      trainer.evaluate(new NDList(images));
    }
  }

  private static final class Net extends AbstractBlock {

    private final Parameter actMax;
    private final Block conv1;
    private final Block conv2;
    private final Block linear;

    Net() {
      actMax =
          addParameter(
              Parameter.builder()
                  .setName("act_max")
                  .setType(Parameter.Type.OTHER)
                  .optShape(new Shape(1))
                  .optInitializer(Initializer.ONES)
                  .build());
      conv1 = addChildBlock("conv1", conv(32));
      conv2 = addChildBlock("conv2", conv(64));
      linear = addChildBlock("linear", Linear.builder().setUnits(10).build());
    }

    private static Block conv(int channels) {
      return Conv2d.builder().setKernelShape(new Shape(5, 5)).setFilters(channels).build();
    }

    @Override
    protected NDList forwardInternal(
        ParameterStore store, NDList inputs, boolean training, PairList<String, Object> more) {
      NDArray t = store.getValue(actMax, inputs.head().getDevice(), training);
      NDArray x = pooled(conv1.forward(store, inputs, training).singletonOrThrow());
      x = NDArrays.where(x.gt(t), t.broadcast(x.getShape()), x);
      x = pooled(conv2.forward(store, new NDList(x), training).singletonOrThrow());
      return linear.forward(store, new NDList(x.reshape(x.size(0), -1)), training);
    }

    private static NDArray pooled(NDArray x) {
      Shape two = new Shape(2, 2);
      return Activation.relu(Pool.maxPool2d(x, two, two, new Shape(0, 0), false));
    }

    @Override
    protected void initializeChildBlocks(NDManager manager, DataType type, Shape... shapes) {
      long batch = shapes[0].get(0);
      conv1.initialize(manager, type, shapes);
      conv2.initialize(manager, type, new Shape(batch, 32, 14, 14));
      linear.initialize(manager, type, new Shape(batch, 1600));
    }

    @Override
    public Shape[] getOutputShapes(Shape[] inputs) {
      return new Shape[] {new Shape(inputs[0].get(0), 10)};
    }
  }
}
