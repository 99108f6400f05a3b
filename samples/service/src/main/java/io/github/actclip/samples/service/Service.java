package io.github.actclip.samples.service;

import io.github.actclip.infer.Prediction;
import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.PredictorMetrics;
import io.github.actclip.infer.Sample;
import io.github.actclip.runtime.ActclipException;
import io.javalin.Javalin;
import io.javalin.config.JavalinConfig;
import io.javalin.http.Context;
import io.javalin.http.HttpStatus;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import javax.imageio.ImageIO;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * A trained network behind HTTP, and a page that shows what it sees. Ready when it was given a
 * model.
 */
public final class Service implements AutoCloseable {

  private static final Logger LOG = LogManager.getLogger(Service.class);

  private static final int TOP = 5;

  /** What is counted by its own name. */
  private static final Set<String> PATHS =
      Set.of("/", "/predict", "/clips", "/model", "/metrics", "/healthz", "/readyz");

  private final ServiceOptions options;
  private final Semaphore free;

  /** Who decodes has memory for a whole image; more of them than processors are not faster. */
  private final Semaphore mayDecode = new Semaphore(Runtime.getRuntime().availableProcessors());

  private final PrometheusMeterRegistry metrics =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final Javalin server;
  private volatile Optional<Model> model = Optional.empty();
  private volatile boolean closing;

  private Service(ServiceOptions options) {
    this.options = options;
    free = new Semaphore(options.concurrency());
    server = Javalin.create(this::configure);
  }

  /**
   * Starts to listen. Until {@link #serve} it is alive, and not ready.
   *
   * @throws ActclipException bad input, when it cannot listen there
   */
  public static Service start(ServiceOptions options) {
    ImageIO.setUseCache(false); // A file for each image would double the time of a request.
    Service service = new Service(options);
    try {
      service.server.start();
    } catch (UncheckedIOException e) {
      throw ActclipException.badInput(
          "the service cannot listen at %s, port %d, where another program may be: take another one"
              + " (%s)",
          options.host(), options.port(), e.getCause().getMessage());
    }
    return service;
  }

  /** Answers with that from now on; both are the service's, which closes them in the end. */
  public void serve(Predictor predictor, ClipView clips) {
    new PredictorMetrics(predictor).bindTo(metrics);
    model = Optional.of(new Model(predictor, clips));
  }

  /** The port that it listens at. */
  public int port() {
    return server.port();
  }

  private void configure(JavalinConfig config) {
    config.startup.showJavalinBanner = false;
    config.startup.showOldJavalinVersionWarning = false;
    config.http.maxRequestSize = options.maxBodyBytes();
    HttpServer.configure(config.jetty, options);
    Refusals.register(config);
    Page.register(config.routes);
    config.requestLogger.http(this::count);
    config.routes.after(this::sayGoodbye);
    new JvmMemoryMetrics().bindTo(metrics);

    config.routes.get("/healthz", ctx -> ctx.json(Map.of("status", "alive")));
    config.routes.get("/readyz", this::answerReady);
    config.routes.get("/metrics", ctx -> ctx.contentType("text/plain").result(metrics.scrape()));
    config.routes.get("/model", ctx -> ctx.json(describe(model().predictor())));
    config.routes.post("/predict", ctx -> answer(ctx, this::predict));
    config.routes.post("/clips", ctx -> answer(ctx, this::look));
  }

  private void count(Context ctx, float millis) {
    String path = PATHS.contains(ctx.path()) ? ctx.path() : "other";
    metrics
        .timer("http.requests", "path", path, "status", String.valueOf(ctx.statusCode()))
        .record((long) (millis * 1e6), TimeUnit.NANOSECONDS);
  }

  /** Else a client keeps its connection, for which an end waits until it is idle for too long. */
  private void sayGoodbye(Context ctx) {
    if (closing) {
      ctx.header("Connection", "close");
    }
  }

  private boolean isReady() {
    return !closing && model.filter(known -> known.predictor().isReady()).isPresent();
  }

  private Model model() {
    if (!isReady()) {
      throw Refusals.of(
          HttpStatus.SERVICE_UNAVAILABLE,
          closing ? "The service is ending." : "The network is still being loaded.");
    }
    return model.orElseThrow();
  }

  private void answerReady(Context ctx) {
    model();
    ctx.json(Map.of("status", "ready"));
  }

  private static Map<String, Object> describe(Predictor predictor) {
    var preprocessing = predictor.preprocessing();
    Map<String, Object> described = new LinkedHashMap<>();
    described.put("shape", preprocessing.shape());
    described.put("images", preprocessing.ofImages());
    described.put("padding", preprocessing.padding());
    described.put("resize", preprocessing.resize());
    described.put("grey", preprocessing.grey());
    described.put("classes", preprocessing.classes());
    return described;
  }

  /** Does one of the requests that are worked on, if there is room for it. */
  private void answer(Context ctx, Function<Context, Object> work) {
    if (!free.tryAcquire()) {
      throw Refusals.of(
          HttpStatus.SERVICE_UNAVAILABLE, "The service has all it can do: try again.");
    }
    try {
      ctx.json(work.apply(ctx));
    } finally {
      free.release();
    }
  }

  private Object predict(Context ctx) {
    Predictor predictor = model().predictor();
    Question question = new Question(ctx, Set.of("top", "outputs"));
    int top = question.number("top", TOP);
    boolean outputs = question.flag("outputs");
    Prediction prediction = predictor.predict(sample(question, predictor));
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("classes", prediction.top(top));
    if (outputs) {
      answer.put("outputs", prediction.outputs());
    }
    return answer;
  }

  private Sample sample(Question question, Predictor predictor) {
    mayDecode.acquireUninterruptibly();
    try {
      return question.sample(predictor);
    } finally {
      mayDecode.release();
    }
  }

  private Object look(Context ctx) {
    ClipView clips = model().clips();
    Question question = new Question(ctx, Set.of());
    return Map.of("clips", clips.look(sample(question, clips.predictor())));
  }

  /**
   * Ends: takes no more requests, waits for those that were begun, listens no more, and closes what
   * it answered with. A second call waits for the first.
   */
  @Override
  public synchronized void close() {
    if (closing) {
      return;
    }
    closing = true;
    try {
      server.jettyServer().server().stop();
    } catch (Exception e) { // Jetty throws any, and this one when it has waited long enough.
      LOG.warn("The service has ended before all requests were answered: {}", e.toString());
    }
    metrics.close();
    model.ifPresent(Model::close);
  }
}
