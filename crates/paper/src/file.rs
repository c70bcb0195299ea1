//! The file: pages and the parts of the fonts that they use.

use crate::{
    MARGIN, PAGE_HEIGHT, PAGE_WIDTH, PaperError,
    face::{Style, Weight},
    flow::{Item, Meta},
};
use miniz_oxide::deflate::compress_to_vec_zlib;
use pdf_writer::{
    Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};
use std::collections::BTreeMap;
use subsetter::GlyphRemapper;

const IDENTITY: SystemInfo<'_> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
const COMPRESSION: u8 = 6;

/// What the pages use of a font.
struct Used {
    weight: Weight,
    glyphs: GlyphRemapper,
    /// By the glyph's new number, for whoever copies text.
    letters: BTreeMap<u16, char>,
}

pub(crate) fn write(pages: &[Vec<Item>], meta: &Meta) -> Result<Vec<u8>, PaperError> {
    let mut used = Weight::ALL.map(|weight| Used { weight, glyphs: GlyphRemapper::new(), letters: BTreeMap::new() });
    let mut next = Ref::new(1);
    let (catalog, tree, info) = (next.bump(), next.bump(), next.bump());
    let fonts = used.each_ref().map(|_| next.bump());
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree).lang(TextStr("en")).viewer_preferences().display_doc_title(true);
    pdf.document_info(info).title(TextStr(&meta.title)).author(TextStr(&meta.author)).producer(TextStr("Turnpike"));
    let kids: Vec<Ref> = pages.iter().map(|_| next.bump()).collect();
    pdf.pages(tree).kids(kids.iter().copied()).count(i32::try_from(pages.len()).unwrap_or(i32::MAX));
    for (items, id) in pages.iter().zip(kids) {
        let contents = next.bump();
        let mut page = pdf.page(id);
        page.media_box(Rect::new(0.0, 0.0, points(PAGE_WIDTH), points(PAGE_HEIGHT))).parent(tree).contents(contents);
        let mut resources = page.resources();
        let mut dictionary = resources.fonts();
        for (one, font) in used.iter().zip(fonts) {
            dictionary.pair(Name(resource(one.weight)), font);
        }
        dictionary.finish();
        resources.finish();
        page.finish();
        let mut content = Content::new();
        for item in items {
            draw(&mut content, item, &mut used);
        }
        let content = compress_to_vec_zlib(content.finish().as_slice(), COMPRESSION);
        pdf.stream(contents, &content).filter(Filter::FlateDecode);
    }
    for (one, font) in used.iter().zip(fonts) {
        embed(&mut pdf, one, font, &mut next)?;
    }
    Ok(pdf.finish())
}

const fn resource(weight: Weight) -> &'static [u8] {
    match weight {
        Weight::Regular => b"R",
        Weight::Bold => b"B",
    }
}

fn draw(content: &mut Content, item: &Item, used: &mut [Used; 2]) {
    match item {
        Item::Rule { x, y, width, thickness, grey } => {
            content.set_fill_gray(points(i32::from(*grey) * 10));
            content.rect(points(*x), points(PAGE_HEIGHT - y), points(*width), points(*thickness)).fill_nonzero();
        }
        Item::Text { text, .. } if text.trim().is_empty() => {}
        Item::Text { x, y, style, text } => {
            let Some(one) = used.iter_mut().find(|one| one.weight == style.weight) else { return };
            let (codes, is_whole) = one.codes(text);
            if !is_whole {
                let mut mark = content.begin_marked_content_with_properties(Name(b"Span"));
                mark.properties().actual_text(TextStr(text));
            }
            content.begin_text();
            show(content, *style, points((*x).max(MARGIN / 2)), points(PAGE_HEIGHT - y), &codes);
            content.end_text();
            if !is_whole {
                content.end_marked_content();
            }
        }
    }
}

fn show(content: &mut Content, style: Style, x: f32, y: f32, codes: &[u8]) {
    content.set_fill_gray(points(i32::from(style.grey) * 10));
    content.set_font(Name(resource(style.weight)), points(style.size)).next_line(x, y).show(Str(codes));
}

impl Used {
    /// The text as the numbers of glyphs, and whether all of it can be drawn.
    fn codes(&mut self, text: &str) -> (Vec<u8>, bool) {
        let mut codes = Vec::with_capacity(2 * text.len());
        let mut is_whole = true;
        for letter in text.chars() {
            let glyph = self.weight.glyph(letter);
            let code = self.glyphs.remap(glyph);
            match glyph {
                0 => is_whole = false,
                _ => {
                    self.letters.entry(code).or_insert(letter);
                }
            }
            codes.extend(code.to_be_bytes());
        }
        (codes, is_whole)
    }
}

/// A font of glyphs by their number (`Identity-H`), with only those that the pages use.
fn embed(pdf: &mut Pdf, used: &Used, id: Ref, next: &mut Ref) -> Result<(), PaperError> {
    let broken = |error: &dyn std::fmt::Display| PaperError::Font(format!("{}: {error}", used.weight.name()));
    let (descendant, descriptor, map, file) = (next.bump(), next.bump(), next.bump(), next.bump());
    let face = used.weight.needed()?;
    // Six letters and a plus say that it is a part of the font.
    let name = format!("TPINVC+{}", used.weight.name());
    let name = Name(name.as_bytes());
    pdf.type0_font(id)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(descendant)
        .to_unicode(map);
    let mut cid = pdf.cid_font(descendant);
    cid.subtype(CidFontType::Type2)
        .base_font(name)
        .system_info(IDENTITY)
        .font_descriptor(descriptor)
        .default_width(0.0);
    cid.cid_to_gid_map_predefined(Name(b"Identity"));
    let advances = used.glyphs.remapped_gids().map(|glyph| whole(used.weight.advance(glyph)));
    cid.widths().consecutive(0, advances);
    cid.finish();
    let per_em = i32::from(face.units_per_em()).max(1);
    let scaled = |units: i16| whole(i32::from(units) * 1_000 / per_em);
    let edges = face.global_bounding_box();
    pdf.font_descriptor(descriptor)
        .name(name)
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(scaled(edges.x_min), scaled(edges.y_min), scaled(edges.x_max), scaled(edges.y_max)))
        .italic_angle(0.0)
        .ascent(scaled(face.ascender()))
        .descent(scaled(face.descender()))
        .cap_height(scaled(face.capital_height().unwrap_or_else(|| face.ascender())))
        .stem_v(if used.weight == Weight::Bold { 140.0 } else { 80.0 })
        .font_file2(file);
    let mut letters = UnicodeCmap::new(Name(b"Letters"), IDENTITY);
    for (code, letter) in &used.letters {
        letters.pair(*code, *letter);
    }
    let letters = compress_to_vec_zlib(letters.finish().as_slice(), COMPRESSION);
    pdf.cmap(map, &letters).filter(Filter::FlateDecode);
    let part = subsetter::subset(used.weight.data(), 0, &used.glyphs).map_err(|error| broken(&error))?;
    let length = i32::try_from(part.len()).unwrap_or(i32::MAX);
    let part = compress_to_vec_zlib(&part, COMPRESSION);
    pdf.stream(file, &part).filter(Filter::FlateDecode).pair(Name(b"Length1"), length);
    Ok(())
}

/// Thousandths, as the format has lengths.
#[expect(clippy::float_arithmetic, reason = "lengths on paper, and no money")]
const fn points(thousandths: i32) -> f32 {
    thousandths as f32 / 1_000.0
}

const fn whole(number: i32) -> f32 {
    number as f32
}
