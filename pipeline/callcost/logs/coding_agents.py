"""Coding agents: where each keeps what it writes down of its calls. One row an agent; docs/agents.md shows them.

A home is the folder of an agent; what is a log there is said by patterns of paths below it ("**" is any folders), and
all else is settings, indexes and caches. Where homes are on a machine, agent_homes.py says. Sources: the agents' own
documentation, and the readers of ccusage, codeburn (src/providers) and tokscale (crates/tokscale-core/src/clients.rs).
"""

from __future__ import annotations

from typing import NamedTuple


class Agent(NamedTuple):
    """A coding agent.

    Attributes:
        name: as its makers call it.
        dialects: names of the dialects that read its logs.
        homes: folders, each beginning with a root of ROOTS.
        logs: patterns of the paths of logs below a home.
        variable: of the environment: its folder, or several with commas between, stands in the place of the homes.
        below: where the home lies below the folder of the variable; "": it is the home.
        marks: names in a home, two of which tell a copy of it under another name.
        plans: how the names of plans begin that its calls may be paid by.
    """

    name: str
    dialects: tuple[str, ...]
    homes: tuple[str, ...]
    logs: tuple[str, ...]
    variable: str = ""
    below: str = ""
    marks: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()


SYSTEMS = ("linux", "macos", "windows")
_MAC = "~/Library/Application Support"
_CONFIG, _DATA = "$XDG_CONFIG_HOME", "$XDG_DATA_HOME"
_EDITORS = ("Code", "Code - Insiders", "VSCodium", "Cursor", "Windsurf")
DEFAULTS = {  # variables that roots begin with, and what they are where the environment has none
    _CONFIG: "~/.config",
    _DATA: "~/.local/share",
    "$APPDATA": "~/AppData/Roaming",
    "$LOCALAPPDATA": "~/AppData/Local",
}
_USER: dict[str, tuple[str, ...]] = {"linux": (_CONFIG,), "macos": (_MAC,), "windows": ("$APPDATA",)}
ROOTS: dict[str, dict[str, tuple[str, ...]]] = {  # what a home begins with -> folders on each system
    "~": dict.fromkeys(SYSTEMS, ("~",)),
    "config": dict.fromkeys(SYSTEMS, (_CONFIG,)),  # of agents that go by XDG on every system
    "data": dict.fromkeys(SYSTEMS, (_DATA,)),
    "user": _USER,
    "editor": {  # the user's folder of each editor that is made of VS Code
        system: tuple(f"{folder}/{editor}/User" for folder in folders for editor in _EDITORS)
        for system, folders in _USER.items()
    }
    | {"linux": (*(f"{_CONFIG}/{editor}/User" for editor in _EDITORS), "~/.vscode-server/data/User")},
    "goose": {"linux": (f"{_DATA}/goose",), "macos": (f"{_DATA}/goose", f"{_MAC}/Block/goose"),
              "windows": ("$APPDATA/Block/goose/data", "$APPDATA/Block/goose")},
    "zed": {"linux": (f"{_DATA}/zed",), "macos": (f"{_MAC}/Zed",), "windows": ("$LOCALAPPDATA/Zed",)},
}  # fmt: skip
_TASKS = ("tasks/*/ui_messages.json",)
_CODEX_MARKS = ("config.toml", "auth.json", "history.jsonl", "version.json", "session_index.jsonl", "models_cache.json",
                "log", "skills", "shell_snapshots", "archived_sessions")  # fmt: skip

AGENTS = (
    Agent("Claude Code", ("claude_code",), ("~/.claude", "config/claude"), ("projects/**/*.jsonl",),
          "CLAUDE_CONFIG_DIR", plans=("claude", "anthropic"),
          marks=("settings.json", "settings.local.json", "history.jsonl", "stats-cache.json", "todos", "statsig",
                 "shell-snapshots", "plugins", "file-history", "ide", "debug", "session-env", "plans", "CLAUDE.md")),
    Agent("Claude Desktop", ("claude_code",), ("user/Claude/local-agent-mode-sessions",),
          ("**/audit.jsonl", "**/.claude/projects/**/*.jsonl"), plans=("claude", "anthropic")),
    Agent("Codex", ("codex",), ("~/.codex",), ("sessions/**/*.jsonl", "archived_sessions/**/*.jsonl"), "CODEX_HOME",
          plans=("chatgpt", "codex", "openai"), marks=_CODEX_MARKS),
    Agent("Gemini CLI", ("gemini_cli",), ("~/.gemini",), ("tmp/*/chats/**/*.json", "tmp/*/chats/**/*.jsonl"),
          "GEMINI_CLI_HOME", ".gemini", plans=("gemini", "google"),
          marks=("settings.json", "oauth_creds.json", "google_accounts.json", "installation_id", "projects.json",
                 "trustedFolders.json", "state.json", "history", "GEMINI.md")),
    Agent("Qwen Code", ("qwen_code",), ("~/.qwen",), ("projects/*/chats/**/*.jsonl", "tmp/*/chats/**/*.json"),
          "QWEN_DATA_DIR", plans=("qwen",),
          marks=("settings.json", "oauth_creds.json", "installation_id", "todos", "debug", "QWEN.md")),
    Agent("OpenCode", ("opencode",), ("data/opencode",), ("opencode*.db", "storage/message/**/*.json"),
          plans=("opencode",), marks=("auth.json", "log", "snapshot", "bin", "project", "tool-output")),
    Agent("Kilo CLI", ("opencode",), ("data/kilo",), ("kilo*.db", "storage/message/**/*.json"),
          marks=("auth.json", "log", "snapshot", "bin")),
    Agent("MiMo Code", ("opencode",), ("data/mimocode",), ("*.db",)),
    Agent("Copilot CLI", ("copilot_cli", "copilot_store"), ("~/.copilot",),
          ("session-state/**/events.jsonl", "session-store.db"), "COPILOT_HOME", plans=("copilot", "github"),
          marks=("config.json", "settings.json", "mcp-config.json", "logs", "command-history-state.json")),
    Agent("Copilot in VS Code", ("vscode_copilot",), ("editor",),
          ("workspaceStorage/*/chatSessions/*.json*", "globalStorage/emptyWindowChatSessions/*.json*")),
    Agent("Cline", ("cline",), ("editor/globalStorage/saoudrizwan.claude-dev", "~/.cline/data"), _TASKS),
    Agent("Cline CLI", ("cline_cli",), ("~/.cline/data",), ("sessions/*/*.json",)),
    Agent("Roo Code", ("cline",), ("editor/globalStorage/rooveterinaryinc.roo-cline",), _TASKS),
    Agent("Kilo Code", ("cline",), ("editor/globalStorage/kilocode.kilo-code",), _TASKS),
    Agent("Amp", ("amp",), ("data/amp",), ("threads/*.json",), plans=("amp",)),
    Agent("Factory Droid", ("droid",), ("~/.factory",), ("sessions/**/*.settings.json",), plans=("droid", "factory"),
          marks=("settings.json", "config.json", "mcp.json", "logs", "history.json")),
    Agent("Cursor", ("cursor_store",), ("user/Cursor/User/globalStorage",), ("state.vscdb",), plans=("cursor",)),
    Agent("Goose", ("goose", "goose_ledger"), ("goose",), ("sessions/sessions.db",), "GOOSE_PATH_ROOT", "data"),
    Agent("Grok Build", ("grok_build",), ("~/.grok",), ("sessions/**/updates.jsonl",), "GROK_HOME",
          plans=("grok", "supergrok"), marks=("user-settings.json", "settings.json", "auth.json", "logs")),
    Agent("Hermes Agent", ("hermes",), ("~/.hermes",), ("state.db", "profiles/*/state.db"), "HERMES_HOME",
          marks=("config.yaml", "auth.json", "cron", "skills", "logs", "memories")),
    Agent("Kimi Code", ("kimi",), ("~/.kimi-code",), ("sessions/**/wire.jsonl",), "KIMI_CODE_HOME", plans=("kimi",),
          marks=("config.toml", "credentials", "logs")),
    Agent("Kimi CLI", ("kimi",), ("~/.kimi",), ("sessions/**/wire.jsonl",), plans=("kimi",),
          marks=("config.toml", "config.json", "kimi.json", "credentials", "logs", "user-history")),
    Agent("Mistral Vibe", ("mistral_vibe",), ("~/.vibe",), ("logs/session/*/meta.json",), "VIBE_HOME",
          plans=("mistral", "vibe"), marks=("config.toml", "agents", "prompts", "vibehistory")),
    Agent("pi", ("pi",), ("~/.pi/agent",), ("sessions/**/*.jsonl",), "PI_CODING_AGENT_DIR",
          marks=("settings.json", "auth.json", "models.json", "extensions", "skills")),
    Agent("Auggie", ("auggie",), ("~/.augment",), ("sessions/*.json",)),
    Agent("OMP", ("pi",), ("~/.omp/agent",), ("sessions/**/*.jsonl",)),
    Agent("OpenClaw", ("pi", "codex"), ("~/.openclaw", "~/.clawdbot", "~/.moltbot", "~/.moldbot"),
          ("agents/*/sessions/**/*.jsonl*", "agents/*/session-sqlite-import-archive/*.jsonl*",
           "agents/*/agent/openclaw-agent.sqlite", "agents/*/agent/**/sessions/**/*.jsonl*"), "OPENCLAW_STATE_DIR",
          marks=("openclaw.json", "clawdbot.json", "moltbot.json", "credentials", "workspace", "devices", "cron")),
    Agent("CodeBuddy", ("codebuddy",), ("~/.codebuddy",), ("projects/**/*.jsonl",)),
    Agent("WorkBuddy", ("codebuddy",), ("~/.workbuddy",), ("projects/**/*.jsonl",)),
    Agent("Codebuff", ("codebuff",), ("config/manicode", "config/manicode-dev", "config/manicode-staging"),
          ("projects/*/chats/*/chat-messages.json",)),
    Agent("Command Code", ("command_code",), ("~/.commandcode",), ("projects/*/*.jsonl",)),
    Agent("Continue", ("continue_dev",), ("~/.continue",), ("dev_data/**/tokens*.jsonl",)),
    Agent("Devin", ("devin",), ("data/devin",), ("cli/sessions.db",)),
    Agent("Forge", ("forge",), ("~/.forge",), (".forge.db",)),
    Agent("Mux", ("mux",), ("~/.mux",), ("sessions/*/chat.jsonl",), "MUX_ROOT"),
    Agent("ZCode", ("zcode",), ("~/.zcode",), ("cli/db/db.sqlite",)),
    Agent("Zed", ("zed", "zed_thread"), ("zed",), ("threads/threads.db",)),
)  # fmt: skip
NO_HOME = {  # dialects of agents whose logs are in no place that is known beforehand -> where they are
    "aider": "the file that `--analytics-log` names",
    "crush": "`.crush/crush.db` of each project",
    "cursor_csv": "what Cursor's dashboard exports",
    "cursor_events": "what Cursor's Admin API gives",
    "trae": "what Trae's usage API gives",
}
AGENT_DIALECTS = frozenset((*NO_HOME, *(dialect for agent in AGENTS for dialect in agent.dialects)))
