use proptest::prelude::*;

use super::*;

const WIDE: Bounds = Bounds {
    depth: 100,
    elements: 1000,
    children: 1000,
    attributes: 100,
    namespaces: 100,
    name: 100,
    value: 1000,
    text: 1000,
    comments: true,
    instructions: true,
};

#[test]
fn well_formed_documents_pass() {
    for text in [
        "<a/>",
        "<?xml version='1.0'?><a/>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<a>\n</a>\n",
        "\u{feff}<a/>",
        "<a b='1' c=\"&lt;&#65;&#x41;&quot;\">&amp;&#x20AC;<![CDATA[<&]]></a>",
        "<!-- c --><?go on?><a><b/><b/></a><!-- c -->",
        "<s:a xmlns:s='urn:a' s:b='1' b='1' xml:lang='de'><s:c/></s:a>",
        "<a xmlns='urn:a'><b xmlns=''/></a>",
        "<größe/>",
        "<soap:Envelope xmlns:soap='http://www.w3.org/2003/05/soap-envelope'><soap:Body/></soap:Envelope>",
    ] {
        assert_eq!(check(text, &WIDE), Ok(()), "{text}");
    }
}

#[test]
fn what_is_no_xml_is_told_as_that() {
    for text in [
        "",
        " ",
        "text",
        "<a>",
        "</a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a/><b/>",
        "<a/>text",
        "text<a/>",
        "<a/>&amp;",
        "<a b=1/>",
        "<a b/>",
        "<a b='1' b='2'/>",
        "<a b='<'/>",
        "<a b='&'/>",
        "<a>&</a>",
        "<a>]]></a>",
        "<a>\u{1}</a>",
        "<a>&#1;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x;</a>",
        "<1/>",
        "<a:b:c xmlns:a='u'/>",
        "<a:b/>",
        "<a p:b='1'/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xml='u'/>",
        "<a><!-- a -- b --></a>",
        " <?xml version='1.0'?><a/>",
        "<a><?xml version='1.0'?></a>",
        "<?xml version='1.1'?><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='utf-7'?><a/>",
        "<a",
        "<a><![CDATA[</a>",
        "<a><!--</a>",
    ] {
        assert!(
            matches!(check(text, &WIDE), Err(Bad::Form(_))),
            "{text}: {:?}",
            check(text, &WIDE)
        );
    }
}

/// XXE, billion laughs and their like need a DTD.
#[test]
fn document_types_and_entities_are_never_taken() {
    for text in [
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<!DOCTYPE a PUBLIC '-//W3C//DTD' 'http://evil.example/a.dtd'><a/>",
        "<!doctype a><a/>",
        "<a>&x;</a>",
        "<a b='&x;'/>",
        "<a>&nbsp;</a>",
    ] {
        assert!(matches!(check(text, &WIDE), Err(Bad::Forbidden(_) | Bad::Form(_))), "{text}");
    }
    let strict = Bounds { comments: false, instructions: false, ..WIDE };
    for (text, what) in
        [("<a><!-- c --></a>", "a comment"), ("<?go on?><a/>", "a processing instruction")]
    {
        assert_eq!(check(text, &strict), Err(Bad::Forbidden(what)), "{text}");
    }
}

/// Where a bound stands.
type Field = fn(&mut Bounds) -> &mut usize;

#[test]
fn each_bound_holds_to_the_last_and_stops_at_the_next() {
    let cases: [(Broken, String, Field, usize); 8] = [
        (Broken::Depth, "<a><b><c/></b></a>".into(), |it| &mut it.depth, 3),
        (Broken::Elements, "<a><b/><b/><c><d/></c></a>".into(), |it| &mut it.elements, 5),
        (Broken::Children, "<a><b/><b/><c><d/></c></a>".into(), |it| &mut it.children, 3),
        (Broken::Attributes, "<a b='' c='' xmlns:d='u'/>".into(), |it| &mut it.attributes, 3),
        (
            Broken::Namespaces,
            "<a xmlns='u'><b xmlns:c='u'/><b xmlns:c='u'/></a>".into(),
            |it| &mut it.namespaces,
            2,
        ),
        (Broken::Name, "<abcde f='1'/>".into(), |it| &mut it.name, 5),
        (Broken::Value, "<a f='12&lt;'/>".into(), |it| &mut it.value, 6),
        (
            Broken::Text,
            "<a>12&lt;<![CDATA[34]]>5<b>1234567890</b></a>".into(),
            |it| &mut it.text,
            10,
        ),
    ];
    for (broken, text, field, most) in cases {
        let mut bounds = WIDE;
        *field(&mut bounds) = most;
        assert_eq!(check(&text, &bounds), Ok(()), "{text}");
        *field(&mut bounds) = most - 1;
        assert_eq!(check(&text, &bounds), Err(Bad::Bound(broken, most - 1)), "{text}");
    }
}

#[test]
fn extremes_end_at_the_first_bound() {
    let deep = "<a>".repeat(1_000_000);
    assert_eq!(check(&deep, &WIDE), Err(Bad::Bound(Broken::Depth, 100)));
    let wide = format!("<a {}/>", (0..100_000).map(|n| format!("b{n}='' ")).collect::<String>());
    assert_eq!(check(&wide, &WIDE), Err(Bad::Bound(Broken::Attributes, 100)));
}

/// A tree, and how deep it is and how many elements it has.
fn tree() -> impl Strategy<Value = (String, usize, usize)> {
    let leaf = "[a-z]{1,4}".prop_map(|name| (format!("<{name}/>"), 1, 1));
    leaf.prop_recursive(4, 32, 4, |inner| {
        ("[a-z]{1,4}", "[a-zäß &;<>]{0,6}", proptest::collection::vec(inner, 0..4)).prop_map(
            |(name, text, inner)| {
                let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                let parts: String = inner.iter().map(|(part, ..)| part.as_str()).collect();
                let depth = 1 + inner.iter().map(|(_, depth, _)| *depth).max().unwrap_or(0);
                let count = 1 + inner.iter().map(|(.., count)| count).sum::<usize>();
                (format!("<{name} b='{text}'>{text}{parts}</{name}>"), depth, count)
            },
        )
    })
}

proptest! {
    #[test]
    fn any_text_ends(
        text in "(<|>|/|a|b|=|'|\"|&|;|#|!|\\?|\\[|\\]|-|xmlns|:| ){0,40}",
        cut in any::<bool>(),
    ) {
        let _ = check(&text, &WIDE);
        let _ = check(&format!("<a>{text}{}", if cut { "" } else { "</a>" }), &WIDE);
    }

    #[test]
    fn trees_are_as_deep_and_as_many_as_they_are((text, depth, count) in tree()) {
        let bounds = Bounds { depth, elements: count, ..WIDE };
        prop_assert_eq!(check(&text, &bounds), Ok(()));
        let fewer = Bounds { elements: count - 1, ..bounds };
        prop_assert_eq!(check(&text, &fewer), Err(Bad::Bound(Broken::Elements, count - 1)));
        let flatter = Bounds { depth: depth - 1, ..bounds };
        prop_assert_eq!(check(&text, &flatter), Err(Bad::Bound(Broken::Depth, depth - 1)));
    }
}
