/**
 * Networks that answer the threads of an application. Users need {@link
 * io.github.actclip.infer.Predictor} with its {@link io.github.actclip.infer.PredictorOptions}, and
 * what it gives, a {@link io.github.actclip.infer.Prediction}.
 */
package io.github.actclip.infer;
