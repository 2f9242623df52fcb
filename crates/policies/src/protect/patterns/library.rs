//! What attacks look like: named sets of expressions, all of which take linear time. Without HTTP.
//!
//! They are made to be right about what people write: names, prose, code of no harm. An expression
//! that only might be an attack is not among them.

use schemars::JsonSchema;
use serde::Deserialize;

/// A named set of expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PatternLibrary")]
pub(super) enum Library {
    /// SQL in place of a value: `' or '1'='1`, `union select`, stacked statements.
    SqlInjection,
    /// Scripts for browsers: tags, handlers, `javascript:`.
    ScriptInjection,
    /// Files that nobody is to reach: `../`, `/etc/passwd`, `.git/`.
    PathTraversal,
    /// Commands of a shell: `; cat /etc/hosts`, `$(id)`.
    CommandInjection,
    /// Expressions of templates and loggers: `${jndi:…}`, `{{7*7}}`, `__proto__`.
    TemplateInjection,
}

impl Library {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SqlInjection,
        Self::ScriptInjection,
        Self::PathTraversal,
        Self::CommandInjection,
        Self::TemplateInjection,
    ];

    /// The name that documents have for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SqlInjection => "sql_injection",
            Self::ScriptInjection => "script_injection",
            Self::PathTraversal => "path_traversal",
            Self::CommandInjection => "command_injection",
            Self::TemplateInjection => "template_injection",
        }
    }

    /// Its expressions; case does not count.
    pub const fn expressions(self) -> &'static [&'static str] {
        match self {
            Self::SqlInjection => SQL,
            Self::ScriptInjection => SCRIPT,
            Self::PathTraversal => PATH,
            Self::CommandInjection => COMMAND,
            Self::TemplateInjection => TEMPLATE,
        }
    }
}

const SQL: &[&str] = &[
    r"\bunion\b(?:\s|/\*[^*]*\*/|\()+(?:(?:all|distinct)\b(?:\s|/\*[^*]*\*/|\()*)?select\b.*(?:\bfrom\b|\bnull\b|\d|@@|\*|,)",
    r#"['"`]\s*\)*\s*(?:or|and|xor|\|\||&&)\s*\(*\s*(?:not\s+)?['"]?[\w@]*['"]?\s*(?:=|<|>|\blike\b|\bin\b|\bbetween\b|\bis\b)"#,
    r"\b(?:or|and)\s+\(*\s*\d+\s*\)*\s*(?:=|<>|<=>|!=)\s*\(*\s*\d+",
    r"\b(?:or|and)\s+'[^']*'\s*=\s*'",
    r"['\x22\d)]\s*;\s*(?:drop|alter|truncate|create)\s+(?:table|database|schema|view|index|user|role|procedure|function|login)\b",
    r"['\x22\d)]\s*;\s*(?:delete\s+from|insert\s+into|update\s+\S+\s+set|exec(?:ute)?\s+|declare\s+@|shutdown\b|grant\s+\w+\s+(?:on|to))",
    r#"['"]\s*\)*\s*(?:;\s*)?(?:--|#|/\*)\s*(?:[-+]\s*)?$"#,
    r"\bsleep\s*\(\s*['\x22\d]",
    r"\b(?:pg_sleep|benchmark|load_file|extractvalue|updatexml|xp_cmdshell|sp_executesql)\s*\(\s*['\x22\w]",
    r"\bwaitfor\s+delay\s*['\x22]|\bdbms_pipe\.receive_message\b|\butl_(?:http|inaddr)\.\w+|\bxp_cmdshell\b",
    r"\binto\s+(?:out|dump)file\s*['\x22]|\bload\s+data\s+(?:local\s+)?infile\b",
    r"\binformation_schema\s*\.\s*\w|\bpg_catalog\s*\.\s*\w|\bsqlite_master\b|\bsysobjects\b|@@version\b",
    r"\border\s+by\s+\d+\s*(?:--|#|/\*)|/\*!\d{5}",
    r"\b(?:char|chr|nchar)\s*\(\s*\d+\s*\)\s*(?:\|\||\+|,|%2b)",
    r"\bselect\b\s.*\bfrom\b.*\b(?:where|limit|users?|passwords?|dual)\b.*(?:--|#|=|\()",
];

const SCRIPT: &[&str] = &[
    r"<\s*/?\s*script\b",
    r"<\s*(?:iframe|frame|frameset|object|embed|applet|base|svg|math|isindex|marquee)\b[^<]*(?:>|/|\s\w+\s*=)",
    r"<[a-z!/?][^<>]*[\s/\x22'`]on[a-z]{3,}\s*=",
    r#"["'`]\s*/?\s*on(?:error|load|click|dblclick|focus|blur|change|input|submit|toggle|mouse\w+|key\w+|pointer\w+|animation\w+|touch\w+|drag\w*|wheel|begin|end)\s*=\s*\S"#,
    r"\b(?:java|vb|live)script\s*:\s*(?:[\w.$\[\]'\x22]*\s*[(/%]|[a-z]+\.[a-z])",
    r"\bdata\s*:\s*(?:text/html|image/svg\+xml|application/xhtml\+xml)\b",
    r"\bdocument\s*\.\s*(?:cookie|write(?:ln)?\s*\(|location\s*=|domain\s*=)|\bwindow\s*\.\s*(?:location|name)\s*=",
    r"\bstring\s*\.\s*fromcharcode\s*\(|\beval\s*\(\s*(?:atob|unescape|string|location|\x22|')",
    r"\bexpression\s*\(\s*(?:alert|eval|document)|-moz-binding\s*:|@import\s+['\x22]?(?:javascript|data):",
    r"&#(?:x0*6a|0*106);?(?:&#|a)",
    r"<!--\s*#\s*(?:exec|include|echo|config)\b|<\?(?:php\b|=)|<\?xml-stylesheet\b",
];

const PATH: &[&str] = &[
    r"(?:^|[/\\=:])\.\.(?:;[^/]*)?[/\\]",
    r"[/\\]\.\.(?:$|[?#;])",
    r"\.\.(?:%2f|%5c|%c0%af|%c1%9c|%u2215|%u2216)|%2e%2e(?:[/\\]|%2f|%5c)",
    r"(?:^|[/\\=])etc[/\\](?:passwd|shadow|group|hosts|issue|sudoers|ssh[/\\]|crontab|fstab)\b",
    r"(?:^|[/\\=])proc[/\\](?:self|\d+|version|cpuinfo|cmdline)\b|(?:^|[/\\=])(?:var[/\\]log|root)[/\\]\.?\w",
    r"\b(?:boot|win|system)\.ini\b|[/\\]system32[/\\]|\bweb-inf\b|\bmeta-inf[/\\]",
    r"(?:^|[/\\=])\.(?:git|svn|hg|bzr|env|ssh|aws|docker|kube|htaccess|htpasswd|npmrc|bash_history|ds_store)(?:$|[/\\.?])",
    r"^\s*(?:file|phar|php|zip|expect|glob|jar|netdoc|gopher|dict|ldap|compress\.zlib)://",
    r"\x00",
];

const COMMAND: &[&str] = &[
    r"(?:[;|&\n`]|\$\(|\$\{ifs\})\s*(?:/(?:usr/)?s?bin/)?(?:whoami|uname|ifconfig|ipconfig|printenv|netstat|nslookup|systeminfo|hostname|passwd|wget|curl|ncat|netcat|tftp|xxd|base64)\b\s*(?:$|[-;|&`)<>$/\x22']|\w+[./:]|https?:)",
    r"(?:[;|&\n`]|\$\()\s*(?:/(?:usr/)?s?bin/)?(?:cat|ls|id|dir|type|echo|sleep|kill|ping|dig|env|nc|rm|cp|mv|chmod|chown|find|head|tail|touch|mkdir|tee|awk|sed|grep|bash|sh|zsh|ksh|python[23]?|perl|ruby|php|node|powershell|cmd)(?:\s+[-/$<>~.\x22'\d]|\s*[;|&`)<>]|\$\{?ifs|\s*\x22?\s*$)",
    r"\(\s*\)\s*\{\s*:?\s*;?\s*\}\s*;",
    r"(?:^|[\s;|&=(\x22'`])/(?:usr/)?bin/(?:ba|z|k|c|da|tc)?sh\b|/dev/(?:tcp|udp)/\d",
    r"\bcmd(?:\.exe)?\s*/[ck]\s|\bpowershell(?:\.exe)?\s+-(?:e|enc|encodedcommand|c|command|nop|noprofile|w|ep|file)\b",
    r"\|\s*(?:ba|z|k|da)?sh\s*(?:$|[-;|&])",
    r"\$\(\s*(?:id|whoami|cat|ls|uname|curl|wget|printf|echo|sleep)\b|`\s*(?:id|whoami|uname|cat|ls|curl|wget|sleep)\b[^`]*`",
    r"\$\{?ifs\b",
];

const TEMPLATE: &[&str] = &[
    r"\$\{\s*(?:jndi|env|sys|java|lower|upper|ctx|main|base64|script|dns|url|date|::-)\s*:",
    r"\$\{(?:\$\{|[^}]*:-)",
    r"[$#*]\{[^}]*(?:\bt\s*\(\s*java|getclass|getruntime|processbuilder|\.class\b|exec\s*\(|\d+\s*\*\s*\d+)",
    r"\{\{[^}]*(?:__\w+__|\d+\s*\*\s*\d+|'\d+'\s*\*|\bconfig\b|\bself\.|\brequest\.|\blipsum\b|\bcycler\b|\bjoiner\b|\bconstructor\b|\bthis\.|system\s*\()",
    r"\{%-?\s*(?:import|include|extends|for|if|set|block|macro|debug|load)\b[^%]*%\}",
    r"<%[=-]?\s*[^%]*%>|<#(?:assign|list|if|include)\b|#set\s*\(\s*\$",
    r"__(?:proto|class|globals|mro|subclasses|init|builtins|import)__",
    r"\bconstructor\s*(?:\.|\[\s*['\x22]?)\s*['\x22]?prototype\b|\bconstructor\.constructor\b",
    r"\bfreemarker\.template\.utility\.|\bjava\.lang\.(?:runtime|processbuilder|system)\b|\bclass\.module\.classloader\b",
    r"!!(?:python/|javax?\.|com\.)|\bo:\d+:\x22[\w\\]+\x22:\d+:\{",
];
