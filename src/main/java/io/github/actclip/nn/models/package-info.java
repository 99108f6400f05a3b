/**
 * Networks that are ready to train, each of its options: {@link io.github.actclip.nn.models.Net}
 * ({@link io.github.actclip.nn.models.NetOptions}), and with torchvision's names and weights {@link
 * io.github.actclip.nn.models.Mlp} ({@link io.github.actclip.nn.models.MlpOptions}), {@link
 * io.github.actclip.nn.models.ResNet} ({@link io.github.actclip.nn.models.ResNetOptions}) and
 * {@link io.github.actclip.nn.models.MobileNetV2} ({@link
 * io.github.actclip.nn.models.MobileNetV2Options}). {@link io.github.actclip.nn.models.Clips} makes
 * a network of a file of TorchScript, {@link io.github.actclip.nn.models.ScriptModule}.
 */
package io.github.actclip.nn.models;
