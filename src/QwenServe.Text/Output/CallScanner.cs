using System.Buffers;
using System.Globalization;
using System.Text;

namespace QwenServe.Text.Output;

/// <summary>
/// Reads one call, <c>{"name": …, "arguments": {…}}</c>, character by character: lenient in what it accepts, strict in what it emits.
/// <para>
/// Owns the JSON of a single call; <see cref="ToolCallParser"/> owns the text and the markup around it and the buffer of raw characters
/// that are not committed yet. The header (the outer object) and the arguments are read by one machine with one explicit stack; only
/// the arguments are emitted. Every emission keeps what has been emitted a prefix of valid JSON: strings run through character by
/// character with escapes held until they are whole, everything else waits for the end of its token, and a comma or a key waits for
/// what must follow it.
/// </para>
/// </summary>
internal sealed class CallScanner
{
    /// <summary>Depth of the deepest array or object in arguments, their own object included: what System.Text.Json reads by default.</summary>
    internal const int MaxDepth = 64;

    internal const string Opener = "<tool_call>";

    private static readonly SearchValues<char> StringSpecials = SearchValues.Create(
        [.. Enumerable.Range(0, 32).Select(c => (char)c), '"', '\'', '\\', '<', '}', ']']);

    private readonly StringBuilder _raw;
    private readonly DeltaWriter _writer;
    private readonly OutputTrace? _trace;

    private readonly Frame[] _frames = new Frame[MaxDepth + 1];
    private readonly StringBuilder _buffer = new();     // arguments that came before the name
    private readonly StringBuilder _gap = new();        // white space and at most one comma between items
    private readonly StringBuilder _key = new();        // a header key decoded, or an argument key as JSON text with its quotes
    private readonly StringBuilder _decoded = new();    // the name, or arguments given as a string
    private readonly StringBuilder _word = new();       // a number, literal or identifier
    private readonly StringBuilder _tail = new();       // possible end of a string without its quote; white space behind a quote
    private readonly StringBuilder _digits = new();     // of a \u escape

    private string? _closer;
    private Func<string, bool>? _declared;
    private int _index;
    private int _depth;             // open frames, the header included
    private State _state;
    private Role _role;
    private Section _section;
    private char _quote;
    private bool _comma;
    private int _swallow;           // closing braces that belong to doubled opening ones
    private string? _high;          // escape of a high surrogate that waits for its low half
    private int _matched;           // characters of a tag matched so far
    private bool _canOpen;
    private bool _canClose;
    private int _tagStart;          // where the tag begins in _tail
    private int _tailClosers;
    private bool _tailNewline;
    private string? _name;
    private bool _argumentsSeen;
    private bool _argumentsDone;
    private bool _unknownKey;
    private Function _function;     // {"type": "function", "function": {…}}: the inner object is read as part of the header
    private int _outerExtra;

    /// <param name="raw">Characters received and not committed, shared with the caller.</param>
    /// <param name="writer">Receives the deltas.</param>
    /// <param name="trace">Receives raw text when it is committed; null outside tests.</param>
    internal CallScanner(StringBuilder raw, DeltaWriter writer, OutputTrace? trace)
    {
        _raw = raw;
        _writer = writer;
        _trace = trace;
    }

    internal enum Result
    {
        /// <summary>The character was taken.</summary>
        More,

        /// <summary>The character was taken and the call's object is closed.</summary>
        Closed,

        /// <summary>The character was not taken; what is uncommitted does not belong to a call.</summary>
        Failed,

        /// <summary>The character was taken; what is uncommitted does not belong to a call.</summary>
        Rejected,

        /// <summary>The character completed markup that ends the call; <see cref="Markup"/> holds it, taken out of the raw text again.</summary>
        Interrupted,
    }

    private enum State
    {
        Item, Colon, Value, KeyWord, Word, String, Escape, Unicode, MaybeEnd, Tail, TailTag, TailConfirm, Swallow, Tag,
    }

    private enum Role { HeaderKey, ArgumentKey, Name, Encoded, Value }

    private enum Section { Header, Arguments, Ignored }

    private enum Function { None, Open, Closed }

    private struct Frame
    {
        internal bool IsArray;
        internal bool HasItems;
        internal int Extra;     // opening braces beyond the first
    }

    /// <summary>Whether the name has been emitted: from then on the text is a call and stays one.</summary>
    internal bool Begun { get; private set; }

    /// <summary>Whether the arguments have been emitted to their end.</summary>
    internal bool Ended { get; private set; }

    /// <summary>The markup, with white space and markup behind it, that ended the call.</summary>
    internal string Markup { get; private set; } = "";

    private ref Frame Top => ref _frames[_depth - 1];

    /// <summary>Closing brackets that the call still needs.</summary>
    private int OpenBrackets => _function == Function.Open ? _depth + 1 : _depth;

    private bool KeyOrName => _role is Role.HeaderKey or Role.ArgumentKey or Role.Name;

    /// <summary>Begins a call whose <c>{</c> the caller has taken.</summary>
    /// <param name="index">Number of the call.</param>
    /// <param name="closer">The markup that closes the block, or null.</param>
    /// <param name="declared">Where text is a call only if it names a declared tool: whether a name is one. Null accepts every name.</param>
    internal void Start(int index, string? closer, Func<string, bool>? declared)
    {
        _buffer.Clear();
        _gap.Clear();
        _index = index;
        _closer = closer;
        _declared = declared;
        _state = State.Item;
        _section = Section.Header;
        _comma = _argumentsSeen = _argumentsDone = _unknownKey = Begun = Ended = false;
        _function = Function.None;
        _high = null;
        _name = null;
        _depth = 1;
        _frames[0] = default;
    }

    /// <summary>Takes as much of a string's inside as needs no thought; returns how many characters that is.</summary>
    internal int Skip(ReadOnlySpan<char> text)
    {
        if (_state != State.String || _role != Role.Value || _high is not null || !Begun) return 0;
        var plain = text.IndexOfAny(StringSpecials);
        if (plain < 0) plain = text.Length;
        if (plain == 0) return 0;
        Emit(text[..plain]);
        _trace?.Settle(true, text[..plain]);
        return plain;
    }

    internal Result Push(char c)
    {
        while (true)
        {
            // Null: the state has changed and wants to see the character again.
            var result = _state switch
            {
                State.Item => PushItem(c),
                State.Colon => PushColon(c),
                State.Value => PushValue(c),
                State.KeyWord => PushKeyWord(c),
                State.Word => PushWord(c),
                State.String => PushString(c),
                State.Escape => PushEscape(c),
                State.Unicode => PushUnicode(c),
                State.MaybeEnd => PushMaybeEnd(c),
                State.Tail => PushTail(c),
                State.TailTag => PushTailTag(c),
                State.TailConfirm => PushTailConfirm(c),
                State.Swallow => PushSwallow(c),
                _ => PushTag(c),
            };
            if (result is { } done) return done;
        }
    }

    /// <summary>
    /// Ends the call where its text ends, at markup or at the end of the output, by closing what is open.
    /// Returns whether it is a call; if not, or if a key was left without a value, the uncommitted raw text is the caller's.
    /// </summary>
    internal bool ForceClose()
    {
        if (!Begun)
        {
            if (_state == State.MaybeEnd && _role == Role.Encoded)
            {
                EndString();
                return Begun;
            }
            var complete = _depth == 1 && MayLackArguments()
                && (_state == State.Item || (_state == State.Value && IsArgumentsKey()));
            if (complete) BeginWithoutArguments();
            return complete;
        }
        if (Ended)
        {
            CommitHeader();
            return true;
        }

        var keep = false;
        switch (_state)
        {
            case State.Colon or State.KeyWord or State.Tag:
                keep = true;
                break;
            case State.String or State.Escape or State.Unicode or State.Tail or State.TailTag or State.TailConfirm when _role == Role.ArgumentKey:
                keep = true;
                break;
            case State.String:
                CloseString();
                break;
            case State.Escape:
                AddText('\\');
                CloseString();
                break;
            case State.Unicode:
                AddBrokenUnicode();
                CloseString();
                break;
            case State.MaybeEnd:
                CloseString();
                break;
            case State.Tail:
            case State.TailConfirm:
                if (_state == State.TailConfirm) _tail.Length = _tagStart;
                CutStructureFromTail();
                FlushTail();
                CloseString();
                break;
            case State.TailTag:
                FlushTail();
                CloseString();
                break;
            case State.Word:
                ResolveWord();
                break;
            case State.Value:
                Emit("null");
                break;
        }
        _gap.Clear();
        _comma = false;
        while (_depth > 1) Pop();
        if (!keep) Commit();
        return true;
    }

    /// <summary>Ends a begun call where its text could not be read on; what is uncommitted is left to the caller.</summary>
    internal void Abandon()
    {
        if (Ended) return;
        if (_state == State.Value) Emit("null");
        _gap.Clear();
        _comma = false;
        while (_depth > 1) Pop();
    }

    /// <summary>
    /// The output was cut inside this begun call: emits what is held as far as it stays a prefix of JSON, and closes nothing.
    /// What cannot be emitted stays in the raw text for the caller.
    /// </summary>
    internal void Cut()
    {
        if (Ended)
        {
            CommitHeader();
            return;
        }
        switch (_state)
        {
            case State.Tag:
                return;
            case State.Item or State.KeyWord or State.Colon:
                CutKey();
                break;
            case State.String or State.Escape or State.Unicode or State.Tail or State.TailTag or State.TailConfirm:
                var isKey = _role == Role.ArgumentKey;
                if (_state is State.Tail or State.TailTag or State.TailConfirm) FlushTail();
                if (isKey) CutKey();
                if (_high is not null) Emit(_high);
                _high = null;
                if (_state == State.Escape) Emit("\\");
                if (_state == State.Unicode) Emit("\\u" + _digits);
                break;
            case State.MaybeEnd:
                CloseString();
                break;
            case State.Word:
                var word = _word.ToString();
                Emit(LenientJson.IsPrefixOfValue(word) ? word : LenientJson.Quote(word).AsSpan()[..^1]);
                break;
        }
        Commit();
    }

    private void CutKey()
    {
        if (_state == State.Item)
        {
            if (Top.HasItems) Emit(_gap);
            else WriteSpace();
            return;
        }
        WriteGap();
        Emit(_key);
    }

    private Result? PushItem(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            _gap.Append(LenientJson.Space(c));
            return Take(c);
        }
        switch (c)
        {
            case ',':
                if (Top.HasItems && !_comma)
                {
                    _comma = true;
                    _gap.Append(',');
                }
                return Take(c);

            case '}':
                Take(c);
                while (Top.IsArray) Pop();
                if (_depth == 1 && _function == Function.Open)
                {
                    CloseFunction();
                    return Committed();
                }
                if (_depth == 1) return CloseHeader();
                Pop();
                return Committed();

            case ']':
                Take(c);
                if (ArrayIsOpen())
                {
                    while (!Top.IsArray) Pop();
                    Pop();
                }
                return Committed();

            case '{' when !Top.IsArray && !Top.HasItems:
                Top.Extra++;
                Take(c);
                return Committed();

            case '{' or '[' when Top.IsArray:
                if (_depth > MaxDepth) return Result.Failed;
                WriteGap();
                Take(c);
                Open(c);
                return Committed();

            case '"' or '\'':
                Take(c);
                if (Top.IsArray)
                {
                    WriteGap();
                    StartString(Role.Value, c);
                    return Committed();
                }
                StartString(_depth == 1 ? Role.HeaderKey : Role.ArgumentKey, c);
                return Result.More;

            case '<':
            case '`' when _closer is ['`', ..]:
                StartTag();
                _state = State.Tag;
                return null;
        }
        if (Top.HasItems && !_comma) return Result.Failed;
        if (Top.IsArray)
        {
            if (!LenientJson.StartsWord(c)) return Result.Failed;
            WriteGap();
            _word.Clear();
            _state = State.Word;
            return null;
        }
        if (!char.IsAsciiLetter(c) && c is not ('_' or '$')) return Result.Failed;
        _key.Clear();
        if (_depth > 1) _key.Append('"');
        _role = _depth > 1 ? Role.ArgumentKey : Role.HeaderKey;
        _state = State.KeyWord;
        return null;
    }

    private Result? PushKeyWord(char c)
    {
        if (char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '$' or '.')
        {
            _key.Append(c);
            return Take(c);
        }
        if (c != ':' && !char.IsWhiteSpace(c)) return Result.Failed;
        if (_depth > 1) _key.Append('"');
        _state = State.Colon;
        return null;
    }

    private Result? PushColon(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            if (_depth > 1) _key.Append(LenientJson.Space(c));
            return Take(c);
        }
        if (c != ':') return Result.Failed;
        if (_depth == 1)
        {
            if (!KeyEquals("name") && !KeyEquals("arguments") && !KeyEquals("parameters"))
            {
                var known = KeyEquals("id") || KeyEquals("type") || IsFunctionKey();
                if (!known && _declared is not null) return Result.Failed;
                _unknownKey |= !known;
                _trace?.Ignored.Append(_key);
            }
        }
        else
        {
            _key.Append(':');
        }
        WriteGap();
        if (_depth > 1) Emit(_key);
        _state = State.Value;
        Take(c);
        return Committed();
    }

    private Result? PushValue(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            Emit(LenientJson.Space(c));
            Take(c);
            return Committed();
        }
        var isName = _depth == 1 && _name is null && KeyEquals("name");
        var isArguments = _depth == 1 && IsArgumentsKey();
        if (_depth == 1 && IsFunctionKey())
        {
            if (c == '{')
            {
                Take(c);
                OpenFunction();
                return Committed();
            }
            if (_declared is not null) return Result.Failed;
            _unknownKey = true;
        }
        switch (c)
        {
            case '{' or '[':
                if (isName || (isArguments && c == '[') || _depth > MaxDepth) return Result.Failed;
                Take(c);
                if (isArguments) OpenArguments();
                else Open(c);
                return Committed();
            case '"' or '\'':
                Take(c);
                StartString(isName ? Role.Name : isArguments ? Role.Encoded : Role.Value, c);
                return _role == Role.Value ? Committed() : Result.More;
            case ',' or '}' or ']' or '<' or '`':
                if (isName) return Result.Failed;
                Emit("null");
                _state = State.Item;
                return null;
        }
        if (!LenientJson.StartsWord(c)) return Result.Failed;
        _word.Clear();
        _state = State.Word;
        return null;
    }

    private Result? PushWord(char c)
    {
        if (!LenientJson.EndsWord(c))
        {
            _word.Append(c);
            return Take(c);
        }
        return ResolveWord() ? null : Result.Failed;
    }

    private bool ResolveWord()
    {
        _state = State.Item;
        var word = _word.ToString();
        if (_depth == 1 && _name is null && KeyEquals("name"))
        {
            return char.IsAsciiLetter(word[0]) && !LenientJson.IsNull(word) && SetName(word);
        }
        if (_depth == 1 && IsArgumentsKey())
        {
            _argumentsSeen = true;
            return LenientJson.IsNull(word);
        }
        Emit(LenientJson.Value(word));
        Commit();
        return true;
    }

    private void StartString(Role role, char quote)
    {
        _role = role;
        _quote = quote;
        _high = null;
        _state = State.String;
        switch (role)
        {
            case Role.HeaderKey:
                _key.Clear();
                break;
            case Role.ArgumentKey:
                _key.Clear().Append('"');
                break;
            case Role.Name:
                _decoded.Clear();
                break;
            case Role.Encoded:
                _argumentsSeen = true;
                _decoded.Clear();
                break;
            case Role.Value:
                Emit('"');
                break;
        }
    }

    private Result? PushString(char c)
    {
        if (c == _quote)
        {
            Take(c);
            _tail.Clear();
            _state = State.MaybeEnd;
            if (!KeyOrName) return Result.More;
            FlushHigh();
            if (_role == Role.Name)
            {
                _state = State.Item;
                return SetName(_decoded.ToString()) ? Committed() : Result.Rejected;
            }
            if (_role == Role.ArgumentKey) _key.Append('"');
            _state = State.Colon;
            return Result.More;
        }
        if (c == '\\')
        {
            _state = State.Escape;
            return Take(c);
        }
        if (c is '\n' or '\r' && KeyOrName) return Result.Failed;
        if (c == '<' || (c is '}' or ']' or '\n' or '\r' && !KeyOrName))
        {
            _tail.Clear();
            _tailClosers = 0;
            _tailNewline = false;
            _state = State.Tail;
            return null;
        }
        AddText(c);
        Take(c);
        CommitText();
        return Result.More;
    }

    private Result? PushEscape(char c)
    {
        _state = State.String;
        if (c == 'u')
        {
            _digits.Clear();
            _state = State.Unicode;
            return Take(c);
        }
        var decoded = c switch
        {
            '"' or '\\' or '/' => c,
            'b' => '\b',
            'f' => '\f',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            _ => '\0',
        };
        if (decoded == '\0')
        {
            if (c == '\'')
            {
                AddText(c);
                Take(c);
                CommitText();
                return Result.More;
            }
            AddText('\\');      // a lone backslash, as in a regular expression
            CommitText();
            return null;
        }
        FlushHigh();
        AddEscape(['\\', c], decoded);
        Take(c);
        CommitText();
        return Result.More;
    }

    private Result? PushUnicode(char c)
    {
        if (!char.IsAsciiHexDigit(c))
        {
            AddBrokenUnicode();
            CommitText();
            _state = State.String;
            return null;
        }
        _digits.Append(c);
        Take(c);
        if (_digits.Length < 4) return Result.More;
        _state = State.String;
        var escape = "\\u" + _digits;
        var decoded = (char)int.Parse(escape.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        if (char.IsHighSurrogate(decoded))
        {
            FlushHigh();
            _high = escape;
            return Result.More;
        }
        if (!char.IsLowSurrogate(decoded))
        {
            FlushHigh();
            AddEscape(escape, decoded);
        }
        else if (_high is { } high)
        {
            _high = null;
            AddEscape(high, (char)int.Parse(high.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
            AddEscape(escape, decoded);
        }
        else
        {
            AddEscape("\\ufffd", '\uFFFD');
        }
        CommitText();
        return Result.More;
    }

    /// <summary>Behind a quote: it ends the string if what follows can follow a string, else it was a quote that should have been escaped.</summary>
    private Result? PushMaybeEnd(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            _tail.Append(c);
            return Take(c);
        }
        if (c is ',' or '}' or ']' or '<' or '"' || c == _quote || (c == '`' && _closer is ['`', ..]))
            return EndString() ? null : Result.Failed;
        AddText(_quote);
        FlushTail();
        CommitText();
        _state = State.String;
        return null;
    }

    private bool EndString()
    {
        _state = State.Item;
        FlushHigh();
        if (_role == Role.Encoded)
        {
            if (Unwrap(_decoded.ToString()) is not { } arguments) return false;
            _buffer.Append(arguments);
            _argumentsDone = true;
            if (_name is not null) BeginWithBuffer();
            return true;
        }
        Emit('"');
        foreach (var chunk in _tail.GetChunks())
            foreach (var c in chunk.Span)
                _gap.Append(LenientJson.Space(c));
        Commit();
        return true;
    }

    // A string may lack its quote. The tail collects closing brackets, white space and markup that would then be its end.

    private Result? PushTail(char c)
    {
        if (c == '<')
        {
            _tagStart = _tail.Length;
            StartTag();
            _state = State.TailTag;
            return null;
        }
        var closer = c is '}' or ']';
        if (!closer && !char.IsWhiteSpace(c))
        {
            FlushTail();
            CommitText();
            _state = State.String;
            return null;
        }
        if (closer) _tailClosers++;
        if (c is '\n' or '\r') _tailNewline = true;
        _tail.Append(c);
        return Take(c);
    }

    private Result? PushTailTag(char c)
    {
        var match = MatchTag(c);
        if (match is null)
        {
            FlushTail();
            CommitText();
            _state = State.String;
            return null;
        }
        _tail.Append(c);
        Take(c);
        if (match == false) return Result.More;
        if (KeyOrName || _tailNewline || _tailClosers >= OpenBrackets) return InterruptString();
        if (_canClose)
        {
            _matched = 0;
            _state = State.TailConfirm;
            return Result.More;
        }
        FlushTail();
        CommitText();
        _state = State.String;
        return Result.More;
    }

    /// <summary>Behind a closing tag inside a string: it ends the block only if another block or the end of the output follows.</summary>
    private Result? PushTailConfirm(char c)
    {
        if (Opener[_matched] == c)
        {
            _matched++;
        }
        else if (_matched > 0 || !char.IsWhiteSpace(c))
        {
            FlushTail();
            CommitText();
            _state = State.String;
            return null;
        }
        _tail.Append(c);
        Take(c);
        return _matched == Opener.Length ? InterruptString() : Result.More;
    }

    private Result InterruptString()
    {
        Markup = _tail.ToString(_tagStart, _tail.Length - _tagStart);
        _tail.Length = _tagStart;
        _raw.Length -= Markup.Length;
        _state = State.Tail;
        return Result.Interrupted;
    }

    /// <summary>If the tail holds a closing bracket for each open one, those are structure and not text; so is the white space at its end.</summary>
    private void CutStructureFromTail()
    {
        var end = _tail.Length;
        if (_tailClosers >= OpenBrackets)
        {
            for (var left = OpenBrackets; left > 0;)
                if (_tail[--end] is '}' or ']')
                    left--;
        }
        while (end > 0 && char.IsWhiteSpace(_tail[end - 1])) end--;
        _tail.Length = end;
    }

    private Result? PushTag(char c)
    {
        var match = MatchTag(c);
        if (match is null) return Result.Failed;
        Take(c);
        if (match == false) return Result.More;
        Markup = _canClose ? _closer! : Opener;
        _raw.Length -= Markup.Length;
        _state = State.Item;
        return Result.Interrupted;
    }

    private void StartTag()
    {
        _matched = 0;
        _canOpen = true;
        _canClose = _closer is not null;
    }

    /// <summary>Null: not a tag. False: a tag's beginning. True: a whole tag.</summary>
    private bool? MatchTag(char c)
    {
        _canOpen = _canOpen && Opener[_matched] == c;
        _canClose = _canClose && _closer![_matched] == c;
        if (!_canOpen && !_canClose) return null;
        _matched++;
        return _matched == (_canClose ? _closer!.Length : Opener.Length);
    }

    private Result? PushSwallow(char c)
    {
        if (c != '}')
        {
            _state = State.Item;
            return null;
        }
        if (--_swallow == 0) _state = State.Item;
        Take(c);
        return Committed();
    }

    private void Open(char bracket)
    {
        if (_depth == 1) _section = Section.Ignored;
        _frames[_depth++] = new Frame { IsArray = bracket == '[' };
        _state = State.Item;
        Emit(bracket);
    }

    private void OpenArguments()
    {
        _argumentsSeen = true;
        _section = Section.Arguments;
        if (_name is not null) BeginCall();
        _frames[_depth++] = default;
        _state = State.Item;
        Emit('{');
    }

    private void OpenFunction()
    {
        _function = Function.Open;
        _outerExtra = Top.Extra;
        _gap.Clear();
        _comma = false;
        Top.HasItems = false;
        _state = State.Item;
    }

    private void CloseFunction()
    {
        _function = Function.Closed;
        _gap.Clear();
        _comma = false;
        _swallow = Top.Extra - _outerExtra;
        Top.HasItems = true;
        _state = _swallow > 0 ? State.Swallow : State.Item;
    }

    private bool ArrayIsOpen()
    {
        for (var i = 1; i < _depth; i++)
            if (_frames[i].IsArray)
                return true;
        return false;
    }

    private void Pop()
    {
        var frame = Top;
        WriteSpace();
        Emit(frame.IsArray ? ']' : '}');
        _depth--;
        _state = State.Item;
        if (frame.Extra > 0)
        {
            _swallow = frame.Extra;
            _state = State.Swallow;
        }
        if (_depth > 1) return;
        if (_section == Section.Arguments)
        {
            _argumentsDone = true;
            if (Begun) End();
        }
        _section = Section.Header;
    }

    private Result CloseHeader()
    {
        if (!Begun)
        {
            if (!MayLackArguments()) return Result.Rejected;
            BeginWithoutArguments();
        }
        Commit();
        return Result.Closed;
    }

    /// <summary>Whether the call stands without arguments. Unknown keys in their place are data: such a call is none.</summary>
    private bool MayLackArguments() => _name is not null && (_argumentsSeen || !_unknownKey);

    private bool SetName(string name)
    {
        if (name.Length == 0 || (_declared is not null && !_declared(name))) return false;
        _name = name;
        if (_argumentsDone) BeginWithBuffer();
        return true;
    }

    private void BeginWithoutArguments()
    {
        _buffer.Clear().Append("{}");
        BeginWithBuffer();
    }

    private void BeginWithBuffer()
    {
        BeginCall();
        _writer.Append(OutputDeltaKind.ToolCallArguments, _index, _buffer);
        _buffer.Clear();
        End();
    }

    private void BeginCall()
    {
        Begun = true;
        _writer.Mark(OutputDeltaKind.ToolCallBegin, _index, _name!);
        Commit();
    }

    private void End()
    {
        Ended = true;
        _writer.Mark(OutputDeltaKind.ToolCallEnd, _index, "");
    }

    /// <summary>Separates an item from the one before it, adding the comma that was forgotten.</summary>
    private void WriteGap()
    {
        if (Top.HasItems && !_comma) Emit(',');
        Emit(_gap);
        _gap.Clear();
        _comma = false;
        Top.HasItems = true;
    }

    /// <summary>Writes the white space before a closing bracket without the comma that may stand in it.</summary>
    private void WriteSpace()
    {
        if (_comma) _gap.Replace(",", "");
        Emit(_gap);
        _gap.Clear();
        _comma = false;
    }

    private void CloseString()
    {
        FlushHigh();
        Emit('"');
    }

    private void FlushTail()
    {
        foreach (var chunk in _tail.GetChunks())
            foreach (var c in chunk.Span)
                AddText(c);
        _tail.Clear();
    }

    private void AddBrokenUnicode()
    {
        AddText('\\');
        AddText('u');
        foreach (var chunk in _digits.GetChunks())
            foreach (var c in chunk.Span)
                AddText(c);
        _digits.Clear();
    }

    private void AddText(char c)
    {
        FlushHigh();
        if (LenientJson.Escape(c) is { } escape) AddEscape(escape, c);
        else AddEscape([c], c);
    }

    /// <summary>Adds a character to the string being read, in its JSON spelling or decoded, as the string's role wants it.</summary>
    private void AddEscape(ReadOnlySpan<char> json, char decoded)
    {
        switch (_role)
        {
            case Role.HeaderKey:
                _key.Append(decoded);
                break;
            case Role.ArgumentKey:
                _key.Append(json);
                break;
            case Role.Name or Role.Encoded:
                _decoded.Append(decoded);
                break;
            case Role.Value:
                Emit(json);
                break;
        }
    }

    private void FlushHigh()
    {
        if (_high is null) return;
        _high = null;
        AddEscape("\\ufffd", '\uFFFD');
    }

    private bool KeyEquals(string key) => _key.Equals(key);

    /// <summary>Whether the key may hold the call: nothing of it has been seen yet.</summary>
    private bool IsFunctionKey() => _function == Function.None && _name is null && !_argumentsSeen && KeyEquals("function");

    private bool IsArgumentsKey() => !_argumentsSeen && (KeyEquals("arguments") || KeyEquals("parameters"));

    private void Emit(char c)
    {
        if (_section != Section.Arguments) _trace?.Ignored.Append(c);
        else if (Begun) _writer.Append(OutputDeltaKind.ToolCallArguments, _index, c);
        else _buffer.Append(c);
    }

    private void Emit(ReadOnlySpan<char> text)
    {
        if (_section != Section.Arguments) _trace?.Ignored.Append(text);
        else if (Begun) _writer.Append(OutputDeltaKind.ToolCallArguments, _index, text);
        else _buffer.Append(text);
    }

    private void Emit(StringBuilder text)
    {
        if (_section != Section.Arguments) _trace?.Ignored.Append(text);
        else if (Begun) _writer.Append(OutputDeltaKind.ToolCallArguments, _index, text);
        else _buffer.Append(text);
    }

    private Result Take(char c)
    {
        _raw.Append(c);
        return Result.More;
    }

    private Result Committed()
    {
        Commit();
        return Result.More;
    }

    /// <summary>Behind the arguments, where the text ends inside the header: a token that was begun is not part of the call.</summary>
    private void CommitHeader()
    {
        if (_state is State.Item or State.Value or State.Swallow) Commit();
    }

    private void CommitText()
    {
        if (!KeyOrName) Commit();
    }

    /// <summary>Once the call has begun, what has been read belongs to it. Before that everything is kept, to be given back as text.</summary>
    private void Commit()
    {
        if (!Begun || _raw.Length == 0) return;
        _trace?.Settle(true, _raw);
        _raw.Clear();
    }

    /// <summary>
    /// The JSON object inside a string, read by the same rules; null when there is none. An empty string and <c>null</c> are the empty object.
    /// </summary>
    private static string? Unwrap(string text)
    {
        var json = text.AsSpan().Trim();
        if (json.IsEmpty || json is "null" or "None") return "{}";
        if (json[0] != '{') return null;
        var scanner = new CallScanner(new StringBuilder(), new DeltaWriter(), null);
        scanner.Start(0, null, null);
        scanner.OpenArguments();
        foreach (var c in json[1..])
        {
            if (!scanner._argumentsDone)
            {
                if (scanner.Push(c) != Result.More) return null;
            }
            else if (c != '}' && !char.IsWhiteSpace(c))
            {
                return null;
            }
        }
        return scanner._argumentsDone ? scanner._buffer.ToString() : null;
    }
}
