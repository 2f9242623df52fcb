//! Programs that say who they are, by what they do.

use schemars::JsonSchema;
use serde::Deserialize;

/// A list of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BotList")]
pub(super) enum List {
    /// Tools that look for holes.
    Scanners,
    /// Crawlers that gather for models, or answer by them.
    Ai,
    /// Crawlers of search engines, archives, link previews and market research.
    Crawlers,
    /// Programs that keep the name of what they are made with.
    Libraries,
}

impl List {
    /// Its name.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Scanners => "scanners",
            Self::Ai => "ai",
            Self::Crawlers => "crawlers",
            Self::Libraries => "libraries",
        }
    }

    /// Expressions that find its programs.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Scanners => SCANNERS,
            Self::Ai => AI,
            Self::Crawlers => CRAWLERS,
            Self::Libraries => LIBRARIES,
        }
    }
}

const SCANNERS: &[&str] = &[
    r"\bsqlmap\b",
    r"\bnikto\b",
    r"\bnuclei\b",
    r"\bnmap\b",
    r"\bmasscan\b",
    r"\bz(grab|map)\b",
    r"\bwpscan\b",
    r"\bgobuster\b",
    r"\bdirbuster\b",
    r"\bferoxbuster\b",
    r"\bffuf\b",
    r"\bwfuzz\b",
    r"\bacunetix\b",
    r"\bnessus\b",
    r"\bopenvas\b",
    r"\bqualys\b",
    r"\bnetsparker\b",
    r"\binvicti\b",
    r"\bw3af\b",
    r"\barachni\b",
    r"\bskipfish\b",
    r"\bhydra\b",
    r"\bjorgee\b",
    r"\bmuieblackcat\b",
    r"\bmorfeus\b",
    r"\bcommix\b",
    r"\bxsstrike\b",
    r"\bwhatweb\b",
    r"\bjaeles\b",
    r"\bkatana\b",
    r"\bhttpx - open-source project\b",
    r"\bcensysinspect\b",
    r"\bexpanse, a palo alto\b",
    r"\bl9(explore|tcpid)\b",
    r"\bodin\.io\b",
];

const AI: &[&str] = &[
    r"\bGPTBot\b",
    r"\bChatGPT-User\b",
    r"\bOAI-SearchBot\b",
    r"\bClaudeBot\b",
    r"\bClaude-",
    r"\banthropic-ai\b",
    r"\bCCBot\b",
    r"\bBytespider\b",
    r"\bPerplexity(Bot|-User)\b",
    r"\bGoogle-(Extended|CloudVertexBot)\b",
    r"\bApplebot-Extended\b",
    r"\bAmazonbot\b",
    r"\bmeta-external(agent|fetcher)\b",
    r"\bFacebookBot\b",
    r"\bcohere-",
    r"\bDiffbot\b",
    r"\bImagesiftBot\b",
    r"\bomgili",
    r"\bYouBot\b",
    r"\bMistralAI-User\b",
    r"\bTimpibot\b",
    r"\bAI2Bot\b",
    r"\bDuckAssistBot\b",
    r"\bPanguBot\b",
    r"\bPetalBot\b",
    r"\bWebzio",
    r"\bKangaroo Bot\b",
    r"\bDeepSeekBot\b",
    r"\bFirecrawl",
    r"\bCrawl4AI\b",
];

const CRAWLERS: &[&str] = &[
    r"\bGooglebot\b",
    r"\bGoogleOther\b",
    r"\bGoogle-InspectionTool\b",
    r"\bAdsBot-Google\b",
    r"\bMediapartners-Google\b",
    r"\bAPIs-Google\b",
    r"\bbingbot\b",
    r"\bBingPreview\b",
    r"\badidxbot\b",
    r"\bSlurp\b",
    r"\bDuckDuckBot\b",
    r"\bBaiduspider\b",
    r"\bYandex\w*Bot\b",
    r"\bYandexBot\b",
    r"\bSogou\b",
    r"\bSeznamBot\b",
    r"\bApplebot\b",
    r"\bQwantbot\b",
    r"\bMojeekBot\b",
    r"\bNaverBot\b",
    r"\bYeti/",
    r"\bDotBot\b",
    r"\bAhrefs(Bot|SiteAudit)\b",
    r"\bSemrushBot\b",
    r"\bMJ12bot\b",
    r"\bBLEXBot\b",
    r"\bDataForSeoBot\b",
    r"\bSerpstatBot\b",
    r"\bScreaming Frog\b",
    r"\bBarkrowler\b",
    r"\bia_archiver\b",
    r"\barchive\.org_bot\b",
    r"\bfacebookexternalhit\b",
    r"\bTwitterbot\b",
    r"\bLinkedInBot\b",
    r"\bSlackbot\b",
    r"\bDiscordbot\b",
    r"\bTelegramBot\b",
    r"\bPinterestbot\b",
    r"\bWhatsApp/",
    r"\bSkypeUriPreview\b",
    r"\bredditbot\b",
    r"\bEmbedly\b",
    r"\bHeritrix\b",
    r"\bNutch\b",
    r"\bScrapy\b",
    r"\bcrawler\b",
    r"\bspider\b",
];

const LIBRARIES: &[&str] = &[
    r"^curl/",
    r"^Wget/",
    r"\bpython-requests/",
    r"\bpython-urllib/",
    r"^Python/",
    r"\baiohttp/",
    r"\bpython-httpx/",
    r"\bGo-http-client/",
    r"\bJava/",
    r"\bApache-HttpClient/",
    r"\bokhttp/",
    r"\bReactor ?Netty\b",
    r"\bJakarta Commons-HttpClient/",
    r"\baxios/",
    r"\bnode-fetch\b",
    r"^node$",
    r"\bundici\b",
    r"\bgot \(",
    r"\bsuperagent/",
    r"\breqwest/",
    r"\bhyper/",
    r"\bureq/",
    r"\blibwww-perl/",
    r"\bHTTP-Tiny/",
    r"\bMechanize\b",
    r"\bRuby\b",
    r"\bFaraday v",
    r"\bGuzzleHttp/",
    r"\bPHP/",
    r"\bRestSharp/",
    r"\bDart/",
    r"\bPostmanRuntime/",
    r"\binsomnia/",
    r"\bHTTPie/",
    r"\bHeadlessChrome/",
    r"\bPhantomJS/",
    r"\bElectron/",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_find_whom_they_are_for_and_no_browser() {
        let at = base::Pointer::root();
        let lists = [List::Scanners, List::Ai, List::Crawlers, List::Libraries];
        let found = |text: &str| -> Vec<&str> {
            let finds = |list: &List| {
                let set = crate::expressions::any_case(list.programs(), &at).unwrap();
                set.is_match(text.as_bytes())
            };
            lists.into_iter().filter(finds).map(List::word).collect()
        };
        for (text, expected) in [
            ("sqlmap/1.8.2#stable (https://sqlmap.org)", "scanners"),
            (
                "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
                "scanners",
            ),
            ("Mozilla/5.0 zgrab/0.x", "scanners"),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot",
                "ai",
            ),
            ("Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ai"),
            ("CCBot/2.0 (https://commoncrawl.org/faq/)", "ai"),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "crawlers",
            ),
            ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "crawlers"),
            ("curl/8.10.1", "libraries"),
            ("python-requests/2.32.3", "libraries"),
            ("Go-http-client/2.0", "libraries"),
        ] {
            assert_eq!(found(text), [expected], "{text}");
        }
        for browser in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
            "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36 EdgA/141.0.0.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
        ] {
            assert_eq!(found(browser), [""; 0], "{browser}");
        }
    }
}
