//! The sizes of pictures, and the shapes by which most vendors ask for them.

use std::fmt;

use crate::face::InvalidRequest;

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    /// Reads `1024x1536`; `auto` leaves the choice to the model.
    pub(super) fn read(text: Option<&str>) -> Result<Option<Self>, InvalidRequest> {
        let text = match text {
            None | Some("auto" | "") => return Ok(None),
            Some(text) => text,
        };
        let sides = text.split_once('x').and_then(|(width, height)| {
            Some(Self {
                width: width.parse().ok()?,
                height: height.parse().ok()?,
            })
        });
        match sides {
            Some(size) if size.width > 0 && size.height > 0 => Ok(Some(size)),
            _ => Err(InvalidRequest::of(
                "size",
                format!("`size` is `{text}`; it must be `auto` or like `1024x1536`."),
            )),
        }
    }

    /// Which of these shapes is nearest, and whether it is the very shape.
    pub(super) fn shape(self, shapes: &[&'static str]) -> Option<(&'static str, bool)> {
        let wanted = f64::from(self.width) / f64::from(self.height);
        let distance = |shape: &str| {
            let (width, height) = shape.split_once(':')?;
            let ratio = width.parse::<f64>().ok()? / height.parse::<f64>().ok()?;
            Some((wanted / ratio).ln().abs())
        };
        let (shape, distance) = shapes
            .iter()
            .filter_map(|shape| Some((*shape, distance(shape)?)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))?;
        Some((shape, distance < 1e-9))
    }

    /// The longer side.
    pub(super) fn longest(self) -> u32 {
        self.width.max(self.height)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.width, self.height)
    }
}

/// How a size is told to a vendor that knows shapes: what is reported of it.
pub(super) fn shape_of(
    size: Option<Size>,
    shapes: &[&'static str],
    vendor: &str,
    report: &mut domain::chat::Conversion,
) -> Option<&'static str> {
    let size = size?;
    let (shape, exact) = size.shape(shapes)?;
    let nearest = if exact { "" } else { ", the nearest it knows" };
    report.change(
        "size",
        format!("{vendor} is asked for the shape {shape}{nearest}; it chooses the pixels itself"),
    );
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_two_sides() {
        let size = Size::read(Some("1536x1024")).unwrap().unwrap();
        assert_eq!((size.width, size.height), (1536, 1024));
        assert_eq!(Size::read(Some("auto")), Ok(None));
        for text in ["big", "1024", "0x10", "10x0", "10x-5", "1024X1024"] {
            let refusal = Size::read(Some(text)).unwrap_err();
            assert_eq!(refusal.param.as_deref(), Some("size"), "{text}");
        }
    }

    #[test]
    fn the_nearest_shape_is_found() {
        let shapes = ["1:1", "3:2", "2:3", "16:9", "9:16"];
        for (text, expected) in [
            ("1024x1024", ("1:1", true)),
            ("1536x1024", ("3:2", true)),
            ("1792x1024", ("16:9", false)),
            ("1024x1792", ("9:16", false)),
            ("512x500", ("1:1", false)),
        ] {
            let size = Size::read(Some(text)).unwrap().unwrap();
            assert_eq!(size.shape(&shapes), Some(expected), "{text}");
        }
    }
}
