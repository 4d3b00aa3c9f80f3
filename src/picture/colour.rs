//! Samples of a file to pixels of 8 bits: what its numbers stand for.

/// What the samples of a pixel are, but for an alpha channel.
#[derive(Clone, Debug)]
pub(super) enum Colours {
    /// Brightness, or darkness.
    Grey {
        /// Whether zero is white.
        inverted: bool,
    },
    Rgb,
    /// The number of one of these.
    Palette(Vec<[u8; 3]>),
    Cmyk,
    /// Luma and two differences; the weights of red, green and blue in luma.
    YCbCr([f32; 3]),
    /// CIE L*a*b* under D50.
    Lab {
        /// Whether a* and b* are signed, or else 128 more than they are.
        signed: bool,
    },
}

impl Colours {
    /// How many samples of a pixel are its colour.
    pub(super) fn samples(&self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr(_) | Self::Lab { .. } => 3,
            Self::Cmyk => 4,
        }
    }

    /// How many channels it has when it is decoded.
    pub(super) fn channels(&self) -> usize {
        if matches!(self, Self::Grey { .. }) { 1 } else { 3 }
    }

    /// The pixel of these samples; `to` has as many as [`Self::channels`].
    pub(super) fn paint(&self, from: &[u8], to: &mut [u8]) {
        match self {
            Self::Grey { inverted: false } | Self::Rgb => to.copy_from_slice(&from[..to.len()]),
            Self::Grey { inverted: true } => to[0] = !from[0],
            Self::Palette(colours) => {
                to.copy_from_slice(&colours.get(usize::from(from[0])).copied().unwrap_or_default());
            }
            Self::Cmyk => {
                for (to, ink) in to.iter_mut().zip(from) {
                    *to = part_of(!*ink, !from[3]);
                }
            }
            Self::YCbCr([red, green, blue]) => {
                let luma = f32::from(from[0]);
                let [cb, cr] = [from[1], from[2]].map(|level| f32::from(level) - 128.0);
                let levels = mixed(luma, [cb, cr], [*red, *green, *blue]);
                to.copy_from_slice(&levels.map(|level| eight_bits(level / 255.0)));
            }
            Self::Lab { signed } => {
                let flip = if *signed { 0x80 } else { 0 };
                let [a, b] = [from[1], from[2]].map(|level| f32::from(level ^ flip) - 128.0);
                to.copy_from_slice(&srgb(f32::from(from[0]) / 2.55, a, b));
            }
        }
    }
}

/// Red, green and blue of luma and its differences to blue and red, by the weights
/// of the three in luma; on whatever scale.
pub(super) fn mixed(luma: f32, [cb, cr]: [f32; 2], [red, green, blue]: [f32; 3]) -> [f32; 3] {
    let r = luma + 2.0 * (1.0 - red) * cr;
    let b = luma + 2.0 * (1.0 - blue) * cb;
    [r, (luma - red * r - blue * b) / green, b]
}

/// A level between 0 and 1 in 8 bits; beyond that, the nearest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub(super) fn eight_bits(level: f32) -> u8 {
    (level.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// `level` times `part`, where 255 stands for 1, rounded to nearest.
fn part_of(level: u8, part: u8) -> u8 {
    let product = u32::from(level) * u32::from(part);
    u8::try_from((product + 127) / 255).expect("a product of two parts of 1")
}

/// `level` as it was before it was multiplied by `alpha`.
pub(super) fn undone(level: u8, alpha: u8) -> u8 {
    let (level, alpha) = (u32::from(level), u32::from(alpha));
    let before = (level * 255 + alpha / 2).checked_div(alpha).unwrap_or(0);
    u8::try_from(before).unwrap_or(u8::MAX)
}

/// The colour of CIE L*a*b* under D50, adapted to the D65 of sRGB by Bradford's
/// matrix.
fn srgb(lightness: f32, a: f32, b: f32) -> [u8; 3] {
    const WHITE: [f32; 3] = [0.964_2, 1.0, 0.824_9];
    const LINEAR: [[f32; 3]; 3] = [
        [3.133_856, -1.616_867, -0.490_615],
        [-0.978_768, 1.916_142, 0.033_454],
        [0.071_945, -0.228_991, 1.405_243],
    ];
    let middle = (lightness + 16.0) / 116.0;
    let mut xyz = [middle + a / 500.0, middle, middle - b / 200.0];
    for (value, white) in xyz.iter_mut().zip(WHITE) {
        let f = *value;
        *value = white * if f > 6.0 / 29.0 { f * f * f } else { (f - 4.0 / 29.0) * 0.128_418_55 };
    }
    LINEAR.map(|[x, y, z]| {
        let linear = x * xyz[0] + y * xyz[1] + z * xyz[2];
        let curved = if linear <= 0.003_130_8 {
            linear * 12.92
        } else {
            1.055 * linear.powf(1.0 / 2.4) - 0.055
        };
        eight_bits(curved)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(colours: &Colours, from: &[u8]) -> Vec<u8> {
        let mut to = vec![0; colours.channels()];
        colours.paint(from, &mut to);
        to
    }

    #[test]
    fn samples_are_taken_for_what_they_stand_for() {
        let bt601 = Colours::YCbCr([0.299, 0.587, 0.114]);
        assert_eq!(painted(&bt601, &[76, 85, 255]), [254, 0, 0]);
        assert_eq!(painted(&Colours::Cmyk, &[0, 255, 255, 0]), [255, 0, 0]);
        assert_eq!(painted(&Colours::Cmyk, &[0, 0, 0, 155]), [100; 3]);
        assert_eq!(painted(&Colours::Grey { inverted: true }, &[0]), [255]);
        let palette = Colours::Palette(vec![[1, 2, 3], [4, 5, 6]]);
        assert_eq!(painted(&palette, &[1]), [4, 5, 6]);
        assert_eq!(painted(&palette, &[2]), [0; 3], "no such entry");
    }

    #[test]
    fn lab_is_adapted_to_the_white_of_srgb() {
        // Red of sRGB is 54.29, 80.81, 69.89 under D50.
        let red = [138, 81, 70];
        let [r, g, b] = painted(&Colours::Lab { signed: true }, &red)[..] else { panic!() };
        assert!(r >= 252 && g <= 12 && b <= 8, "{r} {g} {b}");
        assert_eq!(painted(&Colours::Lab { signed: false }, &[255, 128, 128]), [255; 3]);
    }

    #[test]
    fn alpha_is_taken_out_of_levels() {
        assert_eq!((undone(64, 128), undone(200, 100), undone(9, 0)), (128, 255, 0));
    }
}
