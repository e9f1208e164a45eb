using System.Buffers;
using System.Text;

namespace QwenServe.Text.Output;

// Finds the tool calls in what a Qwen model writes.
//
// Shape. A machine over single characters: what it does at a character depends on the characters before it and never on how they were cut
// into pieces, so a streamed answer assembles to the unstreamed one, which is the same machine fed at once. No character is looked at
// more than a fixed number of times. Every character of the output ends in content, in a call, or as markup consumed with a call; text that
// turns out to be no call is given back as content exactly as it was written.
//
// Where calls are found
//  1. <tool_call> … </tool_call>, anywhere in the answer, with or without newlines. Any function name is accepted.
//  2. Habits of Qwen2.5-Coder, only if tools are declared and only if the name is one of theirs: <tools> … </tools>, a ``` or ```json or
//     ```tool_call fence, and bare JSON as the first thing of the answer. Anything else in these forms stays text exactly; so that an answer in
//     JSON streams, its first unusual key or undeclared name decides.
//  3. A block holds one call, several in a row, or an array of calls.
// Markup consumed with calls: the tags; one newline directly before an opening tag or fence; white space at the start of the answer and behind a call
// if no text follows it; surplus brackets behind a call. The closing tag may be missing: the next <tool_call> or the end of the output closes the block.
// A block without any call, <tool_call></tool_call> included, is content as a whole. Blocks beside it are not touched.
//
// What a call is. The name waits until it is known and the arguments have begun, in whatever order they come:
//  - {"type": "function", "function": {…}} is the call that the inner object is.
//  - `parameters` stands for `arguments`. Missing or null arguments are {}. The first of doubled header keys counts; other keys are consumed,
//    but where there are no arguments a key other than id and type may be what should have been them: the block is content.
//  - Arguments given as a JSON string wait for its end and are unwrapped if they hold an object; else the block is content.
//  - Arguments that are a list, a number or a word: the block is content. So is a call without a name or with an empty one.
// Once the name is out the call stays a call. Its arguments are passed through as they were written (numbers keep their digits, escapes their form,
// white space its place) except for repairs:
//  - control characters in strings are escaped; a backslash that escapes nothing is doubled; \' becomes '; half a surrogate pair becomes \ufffd;
//  - a quote inside a string that no comma, bracket, quote or markup follows is escaped: it did not end the string;
//  - a string that lacks its quote ends before markup: at a raw newline and </tool_call> or <tool_call>; at as many closing brackets as are open and
//    such a tag; at </tool_call> before another <tool_call> or the end of the output. Otherwise a tag inside a string is text of the string;
//  - single quotes, unquoted keys, True/False/None/NaN/undefined, +1, .5 and 1. are respelled; other bare words are quoted;
//  - doubled braces {{ }} are one; surplus and repeated commas go; a forgotten comma before a quote or bracket comes; a key without a value has null;
//  - a bracket closes what was opened inside it and left open; surplus ones go; markup or the end of the output closes everything.
// What no rule repairs (and nesting deeper than 64) ends the arguments there: they are closed, and the rest is content.
//
// Cut by max_tokens: Finish(truncated: true) emits what is held as far as the arguments stay a prefix of valid JSON, and neither closes nor ends the call.
// A call whose name is not out is content. The end of the output without a cut closes what is open.

/// <summary>How the output of a <see cref="ToolCallParser"/> ended.</summary>
/// <param name="Calls">Number of calls that were begun.</param>
/// <param name="LastCallComplete">False if the output was cut inside the arguments of the last call.</param>
public readonly record struct ToolCallSummary(int Calls, bool LastCallComplete);

/// <summary>
/// Incremental parser of Qwen's tool calls: text in pieces of any size in, deltas of content and calls out.
/// For any text and any pieces the assembled deltas are the same, and the arguments of each ended call are a JSON object.
/// </summary>
public sealed class ToolCallParser
{
    private const string ToolsOpener = "<tools>";
    private const string ToolsCloser = "</tools>";
    private const string Closer = "</tool_call>";
    private const string Fence = "```";

    private static readonly SearchValues<char> Marks = SearchValues.Create('\n', '<');
    private static readonly SearchValues<char> MarksWithFences = SearchValues.Create('\n', '<', '`');
    private static readonly string[] FenceLanguages = ["json", "tool_call", ""];

    private readonly DeltaWriter _writer = new();
    private readonly StringBuilder _raw = new();
    private readonly CallScanner _scanner;
    private readonly OutputTrace? _trace;
    private readonly HashSet<string>? _declared;
    private readonly Func<string, bool>? _isDeclared;
    private readonly SearchValues<char> _marks;

    private State _state = State.Start;
    private Block _block;
    private int _calls;
    private int _blockCalls;        // calls in the block that is open
    private bool _closerExpected;   // text stands where a block with a call was not closed yet
    private int _matched;           // characters of markup matched so far
    private Tags _candidates;       // those still possible
    private int _languageStart;

    /// <param name="declaredNames">Names of the declared tools: text outside <c>&lt;tool_call&gt;</c> is a call only if it names one of them.</param>
    public ToolCallParser(IEnumerable<string>? declaredNames = null) : this(declaredNames, null)
    {
    }

    /// <param name="declaredNames">As above.</param>
    /// <param name="trace">Receives the raw text as it is settled; null outside tests.</param>
    internal ToolCallParser(IEnumerable<string>? declaredNames, OutputTrace? trace)
    {
        _declared = declaredNames?.ToHashSet(StringComparer.Ordinal);
        if (_declared is { Count: 0 }) _declared = null;
        _isDeclared = _declared is null ? null : _declared.Contains;
        _marks = _declared is null ? Marks : MarksWithFences;
        _trace = trace;
        _scanner = new CallScanner(_raw, _writer, trace);
    }

    private enum State { Start, AfterCall, Text, Newline, Tag, Ticks, Language, Between, BetweenMarkup, Call }

    private enum Block { ToolCall, Tools, Fence, Bare }

    [Flags]
    private enum Tags { Opener = 1, ToolsOpener = 2, Closer = 4, ToolsCloser = 8, Fence = 16 }

    /// <summary>Characters received and not yet settled.</summary>
    public int HeldLength => _raw.Length;

    /// <summary>Takes the next piece and adds the deltas that are settled by it.</summary>
    public void Feed(string text, List<OutputDelta> output)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(output);
        _writer.Begin(output);
        for (var i = 0; i < text.Length; i++)
        {
            if (_state == State.Text)
            {
                var rest = text.AsSpan(i);
                var plain = rest.IndexOfAny(_marks);
                if (plain < 0) plain = rest.Length;
                if (plain == text.Length) _writer.AppendWhole(OutputDeltaKind.Content, 0, text);
                else _writer.Append(OutputDeltaKind.Content, 0, rest[..plain]);
                _trace?.Settle(false, rest[..plain]);
                i += plain;
                if (i == text.Length) break;
            }
            else if (_state == State.Call)
            {
                i += _scanner.Skip(text.AsSpan(i));
                if (i == text.Length) break;
            }
            Push(text[i]);
        }
        _writer.Flush();
    }

    /// <summary>The output has ended: what was held back is settled.</summary>
    /// <param name="truncated">Whether it was cut by a limit: then a call that is open stays open instead of being closed.</param>
    /// <param name="output">Receives the last deltas.</param>
    public ToolCallSummary Finish(bool truncated, List<OutputDelta> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        _writer.Begin(output);
        var complete = true;
        switch (_state)
        {
            case State.Call:
                if (truncated ? _scanner.Begun : _scanner.ForceClose())
                {
                    _calls++;
                    complete = !truncated || _scanner.Ended;
                    if (truncated) _scanner.Cut();
                }
                Release();
                break;
            case State.AfterCall:
            case State.Between when _blockCalls > 0:
                Consume();
                break;
            default:
                Release();
                break;
        }
        _state = State.Text;
        _writer.Flush();
        return new ToolCallSummary(_calls, complete);
    }

    private void Push(char c)
    {
        while (!TryPush(c))
        {
        }
    }

    /// <summary>Returns false if the state has changed and wants to see the character again.</summary>
    private bool TryPush(char c)
    {
        switch (_state)
        {
            case State.Start:
            case State.AfterCall:
                if (char.IsWhiteSpace(c)) return Take(c);
                if (c == '<') return StartTag();
                if (c == '`' && _declared is not null) return StartTicks();
                if (c is '{' or '[' && _state == State.Start && _declared is not null)
                {
                    OpenBlock(Block.Bare);
                    return false;
                }
                Release();
                _state = State.Text;
                return false;

            case State.Text:
                if (c == '\n')
                {
                    _state = State.Newline;
                    return Take(c);
                }
                if (c == '<') return StartTag();
                if (c == '`' && _declared is not null) return StartTicks();
                _trace?.Settle(false, [c]);
                _writer.Append(OutputDeltaKind.Content, 0, c);
                return true;

            case State.Newline:
                if (c == '<') return StartTag();
                if (c == '`' && _declared is not null) return StartTicks();
                Release();
                _state = State.Text;
                return false;

            case State.Tag:
                return PushTag(c);

            case State.Ticks:
                if (c == '`')
                {
                    _matched++;
                    return Take(c);
                }
                if (_matched != Fence.Length) return ReleaseAsText();
                _languageStart = _raw.Length;
                _state = State.Language;
                return false;

            case State.Language:
                return PushLanguage(c);

            case State.Between:
                return PushBetween(c);

            case State.BetweenMarkup:
                return PushBetweenMarkup(c);

            default:
                return PushCall(c);
        }
    }

    private bool StartTag()
    {
        _matched = 0;
        _candidates = Tags.Opener;
        if (_declared is not null) _candidates |= Tags.ToolsOpener;
        if (_closerExpected) _candidates |= Tags.Closer | Tags.ToolsCloser;
        _state = State.Tag;
        return false;
    }

    private bool PushTag(char c)
    {
        if (Match(c) is not { } tag) return ReleaseAsText();
        Take(c);
        switch (tag)
        {
            case Tags.Opener:
                OpenBlock(Block.ToolCall);
                break;
            case Tags.ToolsOpener:
                OpenBlock(Block.Tools);
                break;
            case Tags.Closer or Tags.ToolsCloser:
                Consume();
                _closerExpected = false;
                _state = State.AfterCall;
                break;
        }
        return true;
    }

    private bool StartTicks()
    {
        _matched = 0;
        _state = State.Ticks;
        return false;
    }

    private bool PushLanguage(char c)
    {
        var length = _raw.Length - _languageStart;
        if (char.IsWhiteSpace(c) || c is '{' or '[')
        {
            foreach (var language in FenceLanguages)
            {
                if (language.Length != length || !MatchesLanguage(language, length)) continue;
                OpenBlock(Block.Fence);
                return false;
            }
            return ReleaseAsText();
        }
        foreach (var language in FenceLanguages)
            if (length < language.Length && language[length] == c && MatchesLanguage(language, length))
                return Take(c);
        return ReleaseAsText();
    }

    private bool MatchesLanguage(string language, int length)
    {
        for (var i = 0; i < length; i++)
            if (_raw[_languageStart + i] != language[i])
                return false;
        return true;
    }

    private void OpenBlock(Block block)
    {
        _block = block;
        _blockCalls = 0;
        _closerExpected = false;
        _state = State.Between;
    }

    /// <summary>Inside a block, between calls.</summary>
    private bool PushBetween(char c)
    {
        switch (c)
        {
            case '{':
                Take(c);
                _scanner.Start(_calls, CloserOf(_block), _block == Block.ToolCall ? null : _isDeclared);
                _state = State.Call;
                return true;
            case '[':
            case ',' or ']' or '}' when _blockCalls > 0:
                return Take(c);
            case '<' or '`':
                _matched = 0;
                _candidates = Tags.Opener | (_block switch
                {
                    Block.ToolCall => Tags.Closer,
                    Block.Tools => Tags.ToolsCloser,
                    Block.Fence => Tags.Fence,
                    _ => 0,
                });
                _state = State.BetweenMarkup;
                return false;
        }
        return char.IsWhiteSpace(c) ? Take(c) : LeaveBlock();
    }

    private bool PushBetweenMarkup(char c)
    {
        if (Match(c) is not { } tag) return LeaveBlock();
        Take(c);
        if (tag == 0) return true;
        if (tag == Tags.Opener)
        {
            // What was before it belongs to the block that it ends.
            _raw.Length -= CallScanner.Opener.Length;
            if (_blockCalls > 0) Consume();
            else Release();
            _raw.Append(CallScanner.Opener);
            OpenBlock(Block.ToolCall);
            return true;
        }
        if (_blockCalls > 0)
        {
            Consume();
            _state = State.AfterCall;
        }
        else
        {
            Release();
            _state = State.Text;
        }
        return true;
    }

    /// <summary>What comes is text: it ends a block of calls, or shows that the block is none.</summary>
    private bool LeaveBlock()
    {
        _closerExpected = _blockCalls > 0 && _block is Block.ToolCall or Block.Tools;
        return ReleaseAsText();
    }

    private bool PushCall(char c)
    {
        switch (_scanner.Push(c))
        {
            case CallScanner.Result.More:
                return true;
            case CallScanner.Result.Closed:
                CountCall();
                _state = State.Between;
                return true;
            case CallScanner.Result.Failed:
                if (_scanner.Begun)
                {
                    _scanner.Abandon();
                    CountCall();
                }
                return LeaveBlock();
            case CallScanner.Result.Rejected:
                LeaveBlock();
                return true;
            default:
                if (_scanner.ForceClose()) CountCall();
                // A key without a value was kept: the block is left, and its closing tag is found in the text.
                if (_scanner.Begun && _raw.Length == 0) _state = State.Between;
                else LeaveBlock();
                foreach (var m in _scanner.Markup) Push(m);
                return true;
        }
    }

    private void CountCall()
    {
        _calls++;
        _blockCalls++;
    }

    private static string? CloserOf(Block block) => block switch
    {
        Block.ToolCall => Closer,
        Block.Tools => ToolsCloser,
        Block.Fence => Fence,
        _ => null,
    };

    private static string TextOf(Tags tag) => tag switch
    {
        Tags.Opener => CallScanner.Opener,
        Tags.ToolsOpener => ToolsOpener,
        Tags.Closer => Closer,
        Tags.ToolsCloser => ToolsCloser,
        _ => Fence,
    };

    /// <summary>Null: not one of the candidates. 0: the beginning of one. Else the tag that is whole.</summary>
    private Tags? Match(char c)
    {
        Tags whole = 0;
        for (var tag = Tags.Opener; tag <= Tags.Fence; tag = (Tags)((int)tag << 1))
        {
            if ((_candidates & tag) == 0) continue;
            var text = TextOf(tag);
            if (text[_matched] != c) _candidates &= ~tag;
            else if (_matched + 1 == text.Length) whole = tag;
        }
        _matched++;
        return _candidates == 0 ? null : whole;
    }

    private bool Take(char c)
    {
        _raw.Append(c);
        return true;
    }

    private bool ReleaseAsText()
    {
        Release();
        _state = State.Text;
        return false;
    }

    private void Release()
    {
        if (_raw.Length == 0) return;
        _trace?.Settle(false, _raw);
        _writer.Append(OutputDeltaKind.Content, 0, _raw);
        _raw.Clear();
    }

    private void Consume()
    {
        if (_raw.Length == 0) return;
        _trace?.Settle(true, _raw);
        _raw.Clear();
    }
}
