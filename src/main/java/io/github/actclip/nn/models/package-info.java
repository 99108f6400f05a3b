/**
 * Networks that are ready to train, each of its options: {@link io.github.actclip.nn.models.Net}
 * ({@link io.github.actclip.nn.models.NetOptions}), and with torchvision's names and weights {@link
 * io.github.actclip.nn.models.Mlp} ({@link io.github.actclip.nn.models.MlpOptions}), {@link
 * io.github.actclip.nn.models.ResNet} ({@link io.github.actclip.nn.models.ResNetOptions}) and
 * {@link io.github.actclip.nn.models.MobileNetV2} ({@link
 * io.github.actclip.nn.models.MobileNetV2Options}).
 */
package io.github.actclip.nn.models;
