//! The page: one file of HTML that needs nothing besides itself.
//!
//! What comes from files is in it as JSON, in which `<` is an escape, and as text in which markup is
//! escaped. The page may run the scripts in it and load nothing: its own policy says so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::plots::series::Drawing;
use crate::plots::spec::spec;

/// By this a page is known for one that mlv made.
pub const MARK: &str = "<meta name=\"generator\" content=\"mlv plots\">";

/// vega, vega-lite and vega-embed: see vendor/README.md.
const BUNDLE: &[u8] = include_bytes!("vendor/vega-bundle.js.zst");
/// Room for the bundle, in bytes.
const BUNDLE_SIZE: usize = 1 << 20;

/// A picture of one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The plot's name.
    pub id: String,
    /// What the state is called.
    pub revision: String,
    /// `image/png` and so on.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The page with these drawings and pictures; pictures of one name stand beside each other.
pub fn page(drawings: &[Drawing], pictures: &[Picture]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{MARK}\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:\">\n\
         <title>Plots</title>\n<style>{STYLE}</style>\n"
    );
    if !drawings.is_empty() {
        html.push_str("<script>");
        html.push_str(&bundle());
        html.push_str("</script>\n");
    }
    html.push_str("</head>\n<body>\n");
    for (at, drawing) in drawings.iter().enumerate() {
        let json = in_script(&spec(drawing).to_string());
        html.push_str(&format!(
            "<section>\n<h2>{}</h2>\n<div id=\"plot{at}\"></div>\n\
             <script type=\"application/json\" id=\"spec{at}\">{json}</script>\n",
            escaped(&drawing.id)
        ));
        if drawing.gaps > 0 {
            html.push_str(&format!("<p>Left out, no finite numbers: {}.</p>\n", drawing.gaps));
        }
        html.push_str("</section>\n");
    }
    let mut open = None;
    for picture in pictures {
        if open != Some(&picture.id) {
            html.push_str(if open.is_some() { "</section>\n" } else { "" });
            html.push_str(&format!("<section>\n<h2>{}</h2>\n", escaped(&picture.id)));
            open = Some(&picture.id);
        }
        html.push_str(&format!(
            "<figure><img alt=\"{}\" src=\"data:{};base64,{}\"><figcaption>{}</figcaption></figure>\n",
            escaped(&picture.id),
            picture.media_type,
            STANDARD.encode(&picture.bytes),
            escaped(&picture.revision)
        ));
    }
    html.push_str(if open.is_some() { "</section>\n" } else { "" });
    if !drawings.is_empty() {
        html.push_str(&format!("<script>{DRAW}</script>\n"));
    }
    html.push_str("</body>\n</html>\n");
    html
}

const STYLE: &str = "body{font-family:sans-serif;margin:1em;display:flex;flex-wrap:wrap;gap:2em}\
h2{font-size:1em;overflow-wrap:anywhere}section{max-width:100%}figure{display:inline-block;margin:0 1em 0 0}\
img{max-width:100%}.error{color:#b00;white-space:pre-wrap}";

/// `ast`: expressions are interpreted, not compiled, so that the policy need not allow it. Many points
/// are pixels, because as elements they would be slow.
const DRAW: &str = "document.querySelectorAll('script[type=\"application/json\"]').forEach(function(data){\
var place=document.getElementById(data.id.replace('spec','plot')),spec=JSON.parse(data.textContent);\
vegaEmbed(place,spec,{ast:true,renderer:spec.data.values.length>5000?'canvas':'svg',\
actions:{export:true,source:false,compiled:false,editor:false}})\
.catch(function(error){place.className='error';place.textContent=String(error)})});";

pub(super) fn bundle() -> String {
    let bytes = zstd::bulk::decompress(BUNDLE, BUNDLE_SIZE).expect("the bundle was compressed by us");
    String::from_utf8(bytes).expect("the bundle is text")
}

/// JSON that nothing in it can end the script that holds it.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
