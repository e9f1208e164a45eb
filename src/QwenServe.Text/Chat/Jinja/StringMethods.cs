using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>Methods of str. Each keeps track of which characters came from the conversation.</summary>
internal static class StringMethods
{
    private static readonly FrozenDictionary<string, Filter> Methods = new Dictionary<string, Filter>
    {
        ["strip"] = (_, self, a) => Strip(Self(self), Chars(a, "strip"), true, true),
        ["lstrip"] = (_, self, a) => Strip(Self(self), Chars(a, "lstrip"), true, false),
        ["rstrip"] = (_, self, a) => Strip(Self(self), Chars(a, "rstrip"), false, true),
        ["split"] = (r, self, a) => SplitCall(r, Self(self), a, false),
        ["rsplit"] = (r, self, a) => SplitCall(r, Self(self), a, true),
        ["splitlines"] = (r, self, a) =>
        {
            object?[] bound = a.Bind("splitlines", 0, "keepends");
            return List(r, SplitLines(Self(self), bound[0] != Arguments.Missing && Operators.IsTrue(bound[0])));
        },
        ["partition"] = (_, self, a) => Partition(Self(self), Argument(a, "partition"), false),
        ["rpartition"] = (_, self, a) => Partition(Self(self), Argument(a, "rpartition"), true),
        ["startswith"] = (r, self, a) => Affix(r, Self(self), a, true),
        ["endswith"] = (r, self, a) => Affix(r, Self(self), a, false),
        ["removeprefix"] = (_, self, a) =>
        {
            var prefix = Argument(a, "removeprefix");
            return Self(self).Text.StartsWith(prefix.Text, StringComparison.Ordinal)
                ? Self(self).Units(prefix.Text.Length, Self(self).Text.Length - prefix.Text.Length) : self;
        },
        ["removesuffix"] = (_, self, a) =>
        {
            var suffix = Argument(a, "removesuffix");
            return suffix.Text.Length > 0 && Self(self).Text.EndsWith(suffix.Text, StringComparison.Ordinal)
                ? Self(self).Units(0, Self(self).Text.Length - suffix.Text.Length) : self;
        },
        ["replace"] = (r, self, a) =>
        {
            Attributes.Positional(a, "replace", 2, 3);
            return Replace(r, Self(self), Filters.Text(a.Positional[0]), Filters.Text(a.Positional[1]),
                a.Positional.Length > 2 ? Operators.ToLong(a.Positional[2]) : -1);
        },
        ["upper"] = (r, self, a) => NoArguments(a, "upper", CaseMapping.Upper(r, Self(self))),
        ["lower"] = (r, self, a) => NoArguments(a, "lower", CaseMapping.Lower(r, Self(self))),
        ["casefold"] = (r, self, a) => NoArguments(a, "casefold", CaseMapping.Fold(r, Self(self))),
        ["capitalize"] = (r, self, a) => NoArguments(a, "capitalize", CaseMapping.Capitalize(r, Self(self))),
        ["title"] = (r, self, a) => NoArguments(a, "title", CaseMapping.Title(r, Self(self))),
        ["swapcase"] = (r, self, a) => NoArguments(a, "swapcase", CaseMapping.Swap(r, Self(self))),
        ["find"] = (r, self, a) => Boxes.Of(Find(r, Self(self), a, "find", false)),
        ["rfind"] = (r, self, a) => Boxes.Of(Find(r, Self(self), a, "rfind", true)),
        ["index"] = (r, self, a) => Found(Find(r, Self(self), a, "index", false)),
        ["rindex"] = (r, self, a) => Found(Find(r, Self(self), a, "rindex", true)),
        ["count"] = (r, self, a) => Boxes.Of(Count(r, Self(self), a)),
        ["join"] = (r, self, a) =>
        {
            Attributes.Positional(a, "join", 1, 1);
            return Join(r, Self(self), Operators.ToList(r, a.Positional[0]));
        },
        ["format"] = (r, self, a) => StringFormat.Apply(r, Self(self), a),
        ["zfill"] = (r, self, a) => ZeroFill(r, Self(self), Width(a, "zfill", 1)),
        ["center"] = (r, self, a) => Pad(r, Self(self), Width(a, "center", 2), Fill(a), '^'),
        ["ljust"] = (r, self, a) => Pad(r, Self(self), Width(a, "ljust", 2), Fill(a), '<'),
        ["rjust"] = (r, self, a) => Pad(r, Self(self), Width(a, "rjust", 2), Fill(a), '>'),
        ["expandtabs"] = (r, self, a) => ExpandTabs(r, Self(self), a.Bind("expandtabs", 0, "tabsize")[0]),
        ["isdigit"] = (_, self, a) => NoArguments(a, "isdigit", All(self, c => Rune.GetUnicodeCategory(c) == UnicodeCategory.DecimalDigitNumber || IsDigit(c))),
        ["isdecimal"] = (_, self, a) => NoArguments(a, "isdecimal", All(self, c => Rune.GetUnicodeCategory(c) == UnicodeCategory.DecimalDigitNumber)),
        ["isnumeric"] = (_, self, a) => NoArguments(a, "isnumeric", All(self, c => Rune.GetNumericValue(c) >= 0 || Rune.IsNumber(c))),
        ["isalpha"] = (_, self, a) => NoArguments(a, "isalpha", All(self, Rune.IsLetter)),
        ["isalnum"] = (_, self, a) => NoArguments(a, "isalnum", All(self, c => Rune.IsLetter(c) || Rune.IsNumber(c))),
        ["isspace"] = (_, self, a) => NoArguments(a, "isspace", All(self, c => c.IsBmp && PythonText.IsSpace((char)c.Value))),
        ["isascii"] = (_, self, a) => NoArguments(a, "isascii", Boxes.Of(Ascii.IsValid(Self(self).Text))),
        ["isprintable"] = (_, self, a) => NoArguments(a, "isprintable", Boxes.Of(Self(self).Text.EnumerateRunes().All(PythonText.IsPrintable))),
        ["isupper"] = (_, self, a) => NoArguments(a, "isupper", Boxes.Of(CaseMapping.IsUpper(Self(self).Text))),
        ["islower"] = (_, self, a) => NoArguments(a, "islower", Boxes.Of(CaseMapping.IsLower(Self(self).Text))),
        ["istitle"] = (_, self, a) => NoArguments(a, "istitle", Boxes.Of(CaseMapping.IsTitle(Self(self).Text))),
        ["isidentifier"] = (_, self, a) => NoArguments(a, "isidentifier", Boxes.Of(IsIdentifier(Self(self).Text))),
    }.ToFrozenDictionary();

    public static Filter? Find(string name) => Methods.GetValueOrDefault(name);

    private static bool All(this StringRuneEnumerator runes, Func<Rune, bool> holds)
    {
        foreach (var rune in runes)
            if (!holds(rune))
                return false;
        return true;
    }

    private static object All(object? self, Func<Rune, bool> holds) => Boxes.Of(Self(self).Text.Length > 0 && Self(self).Text.EnumerateRunes().All(holds));

    private static bool IsDigit(Rune rune) => rune.Value is 0xB2 or 0xB3 or 0xB9 or 0x2070 or (>= 0x2074 and <= 0x2079) or (>= 0x2080 and <= 0x2089)
        or (>= 0x2460 and <= 0x2468) or (>= 0x2474 and <= 0x247C) or (>= 0x2488 and <= 0x2490) or 0x24EA;

    private static bool IsIdentifier(string text)
    {
        for (int i = 0; i < text.Length; i++)
            if (!(text[i] == '_' || char.IsLetter(text[i]) || (i > 0 && char.IsLetterOrDigit(text[i]))))
                return false;
        return text.Length > 0;
    }

    private static MarkedString Self(object? self) => (MarkedString)self!;

    private static object? NoArguments(Arguments arguments, string method, object? result)
    {
        Attributes.Positional(arguments, method, 0, 0);
        return result;
    }

    private static MarkedString Argument(Arguments arguments, string method)
    {
        Attributes.Positional(arguments, method, 1, 1);
        var text = Filters.Text(arguments.Positional[0]);
        return text.Text.Length == 0 && method.EndsWith("partition", StringComparison.Ordinal) ? throw new ConversionException("empty separator") : text;
    }

    private static string? Chars(Arguments arguments, string method)
    {
        Attributes.Positional(arguments, method, 0, 1);
        return arguments.Positional.Length == 0 || arguments.Positional[0] is null ? null : Filters.Text(arguments.Positional[0]).Text;
    }

    private static object Found(long at) => at < 0 ? throw new ConversionException("substring not found") : Boxes.Of(at);

    private static long Width(Arguments arguments, string method, int maximum)
    {
        Attributes.Positional(arguments, method, 1, maximum);
        return Operators.ToLong(arguments.Positional[0]);
    }

    private static MarkedString Fill(Arguments arguments)
    {
        if (arguments.Positional.Length < 2)
            return new MarkedString(" ");
        var fill = Filters.Text(arguments.Positional[1]);
        return fill.Length == 1 ? fill : throw new ConversionException("The fill character must be exactly one character long");
    }

    public static PyList List(Rendering rendering, List<MarkedString> parts)
    {
        rendering.ChargeItems(parts.Count);
        return new PyList([.. parts]);
    }

    /// <summary>Strips white space, or any of <paramref name="chars"/>.</summary>
    public static MarkedString Strip(MarkedString value, string? chars, bool start, bool end)
    {
        string text = value.Text;
        int from = 0, to = text.Length;
        if (chars is null)
        {
            while (start && from < to && PythonText.IsSpace(text[from]))
                from++;
            while (end && to > from && PythonText.IsSpace(text[to - 1]))
                to--;
        }
        else
        {
            var set = new HashSet<string>();
            var units = new MarkedString(chars);
            for (int i = 0; i < units.Length; i++)
                set.Add(units.CodePoint(i).Text);
            while (start && from < to)
            {
                int length = from + 1 < to && char.IsSurrogatePair(text[from], text[from + 1]) ? 2 : 1;
                if (!set.Contains(text.Substring(from, length)))
                    break;
                from += length;
            }

            while (end && to > from)
            {
                int length = to - 2 >= from && char.IsSurrogatePair(text[to - 2], text[to - 1]) ? 2 : 1;
                if (!set.Contains(text.Substring(to - length, length)))
                    break;
                to -= length;
            }
        }

        return value.Units(from, to - from);
    }

    private static PyList SplitCall(Rendering rendering, MarkedString value, Arguments arguments, bool fromRight)
    {
        object?[] bound = arguments.Bind(fromRight ? "rsplit" : "split", 0, "sep", "maxsplit");
        string? separator = bound[0] == Arguments.Missing || bound[0] is null ? null : Filters.Text(bound[0]).Text;
        if (separator?.Length == 0)
            throw new ConversionException("empty separator");
        long maximum = bound[1] == Arguments.Missing ? -1 : Operators.ToLong(bound[1]);
        rendering.ChargeText(value.Text.Length);
        var parts = separator is null ? SplitSpace(value, maximum, fromRight) : Split(value, separator, maximum, fromRight);
        return List(rendering, parts);
    }

    private static List<MarkedString> Split(MarkedString value, string separator, long maximum, bool fromRight)
    {
        var parts = new List<MarkedString>();
        string text = value.Text;
        if (!fromRight)
        {
            int from = 0;
            while (maximum < 0 || parts.Count < maximum)
            {
                int at = text.IndexOf(separator, from, StringComparison.Ordinal);
                if (at < 0)
                    break;
                parts.Add(value.Units(from, at - from));
                from = at + separator.Length;
            }

            parts.Add(value.Units(from, text.Length - from));
            return parts;
        }

        int to = text.Length;
        while (maximum < 0 || parts.Count < maximum)
        {
            int at = text.AsSpan(0, to).LastIndexOf(separator);
            if (at < 0)
                break;
            parts.Add(value.Units(at + separator.Length, to - at - separator.Length));
            to = at;
        }

        parts.Add(value.Units(0, to));
        parts.Reverse();
        return parts;
    }

    private static List<MarkedString> SplitSpace(MarkedString value, long maximum, bool fromRight)
    {
        var parts = new List<MarkedString>();
        string text = value.Text;
        if (!fromRight)
        {
            int at = 0;
            while (true)
            {
                while (at < text.Length && PythonText.IsSpace(text[at]))
                    at++;
                if (at == text.Length)
                    return parts;
                int from = at;
                if (maximum >= 0 && parts.Count >= maximum)
                {
                    parts.Add(Strip(value.Units(from, text.Length - from), null, false, true));
                    return parts;
                }

                while (at < text.Length && !PythonText.IsSpace(text[at]))
                    at++;
                parts.Add(value.Units(from, at - from));
            }
        }

        int end = text.Length;
        while (true)
        {
            while (end > 0 && PythonText.IsSpace(text[end - 1]))
                end--;
            if (end == 0)
                break;
            if (maximum >= 0 && parts.Count >= maximum)
            {
                parts.Add(Strip(value.Units(0, end), null, true, false));
                break;
            }

            int to = end;
            while (end > 0 && !PythonText.IsSpace(text[end - 1]))
                end--;
            parts.Add(value.Units(end, to - end));
        }

        parts.Reverse();
        return parts;
    }

    public static List<MarkedString> SplitLines(MarkedString value, bool keepEnds)
    {
        var parts = new List<MarkedString>();
        string text = value.Text;
        int from = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] is not ('\n' or '\r' or '\v' or '\f' or '\x1c' or '\x1d' or '\x1e' or '\x85' or '\u2028' or '\u2029'))
                continue;
            int length = text[i] == '\r' && i + 1 < text.Length && text[i + 1] == '\n' ? 2 : 1;
            parts.Add(value.Units(from, i - from + (keepEnds ? length : 0)));
            i += length - 1;
            from = i + 1;
        }

        if (from < text.Length)
            parts.Add(value.Units(from, text.Length - from));
        return parts;
    }

    private static PyTuple Partition(MarkedString value, MarkedString separator, bool fromRight)
    {
        int at = fromRight ? value.Text.LastIndexOf(separator.Text, StringComparison.Ordinal) : value.Text.IndexOf(separator.Text, StringComparison.Ordinal);
        if (at < 0)
            return fromRight ? new PyTuple([MarkedString.Empty, MarkedString.Empty, value]) : new PyTuple([value, MarkedString.Empty, MarkedString.Empty]);
        int after = at + separator.Text.Length;
        return new PyTuple([value.Units(0, at), separator, value.Units(after, value.Text.Length - after)]);
    }

    /// <summary>UTF-16 bounds of the optional arguments start and end (code points, may be negative).</summary>
    private static (int From, int To, bool Valid) Bounds(MarkedString value, Arguments arguments)
    {
        long length = value.Length;
        long from = Bound(1, 0), to = Bound(2, length);
        if (from > length)
            return (0, 0, false);
        to = Math.Min(to, length);
        return from > to ? (0, 0, false) : (value.Offset((int)from), value.Offset((int)to), true);

        long Bound(int at, long missing)
        {
            if (arguments.Positional.Length <= at || arguments.Positional[at] is null)
                return missing;
            long bound = Operators.ToLong(arguments.Positional[at]);
            return bound < 0 ? Math.Max(0, bound + length) : bound;
        }
    }

    private static object Affix(Rendering rendering, MarkedString value, Arguments arguments, bool start)
    {
        Attributes.Positional(arguments, start ? "startswith" : "endswith", 1, 3);
        rendering.Charge();
        var (from, to, valid) = Bounds(value, arguments);
        var part = valid ? value.Text.AsSpan(from, to - from) : default;
        if (arguments.Positional[0] is PyTuple tuple)
        {
            foreach (object? item in tuple.Items)
                if (valid && Matches(part, Filters.Text(item).Text))
                    return Boxes.True;
            return Boxes.False;
        }

        return Boxes.Of(valid && Matches(part, Filters.Text(arguments.Positional[0]).Text));

        bool Matches(ReadOnlySpan<char> text, string affix) =>
            start ? text.StartsWith(affix, StringComparison.Ordinal) : text.EndsWith(affix, StringComparison.Ordinal);
    }

    private static long Find(Rendering rendering, MarkedString value, Arguments arguments, string method, bool fromRight)
    {
        Attributes.Positional(arguments, method, 1, 3);
        string part = Filters.Text(arguments.Positional[0]).Text;
        var (from, to, valid) = Bounds(value, arguments);
        if (!valid)
            return -1;
        rendering.ChargeText(to - from);
        var text = value.Text.AsSpan(from, to - from);
        int at = part.Length == 0 ? (fromRight ? text.Length : 0) : fromRight ? text.LastIndexOf(part) : text.IndexOf(part);
        return at < 0 ? -1 : value.IndexOfOffset(from + at);
    }

    private static long Count(Rendering rendering, MarkedString value, Arguments arguments)
    {
        Attributes.Positional(arguments, "count", 1, 3);
        string part = Filters.Text(arguments.Positional[0]).Text;
        var (from, to, valid) = Bounds(value, arguments);
        if (!valid)
            return 0;
        rendering.ChargeText(to - from);
        if (part.Length == 0)
            return value.IndexOfOffset(to) - value.IndexOfOffset(from) + 1;
        return value.Text.AsSpan(from, to - from).Count(part);
    }

    public static MarkedString Replace(Rendering rendering, MarkedString value, MarkedString old, MarkedString @new, long count)
    {
        string text = value.Text;
        if (count == 0 || (old.Text.Length > 0 && !text.Contains(old.Text, StringComparison.Ordinal)))
        {
            rendering.ChargeText(text.Length);
            return value;
        }

        var builder = new MarkedStringBuilder(rendering);
        if (old.Text.Length == 0)
        {
            int length = value.Length;
            for (int i = 0; i <= length; i++)
            {
                if (count < 0 || i < count)
                    builder.Append(@new);
                if (i < length)
                    builder.Append(value.CodePoint(i));
            }

            return builder.ToMarkedString();
        }

        int from = 0;
        for (long replaced = 0; count < 0 || replaced < count; replaced++)
        {
            int at = text.IndexOf(old.Text, from, StringComparison.Ordinal);
            if (at < 0)
                break;
            rendering.Charge();
            builder.Append(value, from, at - from);
            builder.Append(@new);
            from = at + old.Text.Length;
        }

        builder.Append(value, from, text.Length - from);
        return builder.ToMarkedString().AsSafe(value.Safe);
    }

    public static MarkedString Join(Rendering rendering, MarkedString separator, List<object?> items)
    {
        var builder = new MarkedStringBuilder(rendering);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
                builder.Append(separator);
            if (items[i] is not MarkedString text)
                throw new ConversionException($"sequence item {i}: expected str instance, {PythonText.TypeName(items[i])} found");
            builder.Append(text);
        }

        return builder.ToMarkedString();
    }

    public static MarkedString Pad(Rendering rendering, MarkedString value, long width, MarkedString fill, char alignment)
    {
        long missing = width - value.Length;
        if (missing <= 0)
            return value;
        rendering.ChargeText(0, value.Text.Length + missing);
        // str.center puts the odd one to the left when the width is odd.
        long left = alignment switch { '<' => 0, '>' => missing, _ => (missing / 2) + (missing & width & 1) };
        var builder = new MarkedStringBuilder(rendering);
        builder.AppendRepeated(fill, left);
        builder.Append(value);
        builder.AppendRepeated(fill, missing - left);
        return builder.ToMarkedString();
    }

    private static MarkedString ZeroFill(Rendering rendering, MarkedString value, long width)
    {
        long missing = width - value.Length;
        if (missing <= 0)
            return value;
        rendering.ChargeText(0, value.Text.Length + missing);
        int sign = value.Text.Length > 0 && value.Text[0] is '+' or '-' ? 1 : 0;
        var builder = new MarkedStringBuilder(rendering);
        builder.Append(value, 0, sign);
        builder.AppendRepeated(new MarkedString("0"), missing);
        builder.Append(value, sign, value.Text.Length - sign);
        return builder.ToMarkedString();
    }

    private static MarkedString ExpandTabs(Rendering rendering, MarkedString value, object? tabSize)
    {
        long size = tabSize == Arguments.Missing ? 8 : Operators.ToLong(tabSize);
        var builder = new MarkedStringBuilder(rendering);
        long column = 0;
        for (int i = 0; i < value.Length; i++)
        {
            var c = value.CodePoint(i);
            if (c.Text == "\t")
            {
                long spaces = size > 0 ? size - (column % size) : 0;
                rendering.ChargeText(0, builder.Length + spaces);
                for (long s = 0; s < spaces; s++)
                    builder.Append(' ', c.Marks.Length > 0);
                column += spaces;
                continue;
            }

            builder.Append(c);
            column = c.Text is "\n" or "\r" ? 0 : column + 1;
        }

        return builder.ToMarkedString();
    }
}
