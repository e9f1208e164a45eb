using System.Buffers;
using System.Text;

namespace QwenServe.Text.Output;

/// <summary>
/// The arguments of a call that a limit has cut, as a JSON object: what is complete of them, with what is open closed. Formats that carry arguments
/// as JSON, not as text, cannot say it in another way. A number at the end counts as complete; half a string, word or member does not.
/// </summary>
public static class JsonPrefix
{
    private static readonly SearchValues<char> Delimiters = SearchValues.Create(",}] \t\r\n");

    /// <param name="prefix">The first characters of a JSON object's text, none or all of them included.</param>
    public static string Close(string prefix)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        var open = new Stack<char>();
        bool key = false;
        int whole = 0;   // characters that are JSON when closed
        for (int i = 0; i < prefix.Length;)
        {
            char c = prefix[i];
            int end = i + 1;
            switch (c)
            {
                case '{' or '[':
                    open.Push(c == '{' ? '}' : ']');
                    key = c == '{';
                    whole = end;
                    break;
                case '}' or ']':
                    open.Pop();
                    whole = end;
                    break;
                case ',':
                    key = open.Peek() == '}';
                    break;
                case ':':
                    key = false;
                    break;
                case '"':
                    end = EndOfString(prefix, i);
                    if (end > prefix.Length) return Closed();
                    if (!key) whole = end;
                    break;
                case ' ' or '\t' or '\n' or '\r':
                    break;
                default:
                    end = prefix.AsSpan(i).IndexOfAny(Delimiters) is var length and >= 0 ? i + length : prefix.Length;
                    if (end < prefix.Length || char.IsAsciiDigit(prefix[^1]) || prefix.AsSpan(i) is "true" or "false" or "null") whole = end;
                    break;
            }
            i = end;
        }
        return Closed();

        string Closed()
        {
            // Each bracket moves `whole`, so those open here are those open there.
            if (whole == 0) return "{}";
            var text = new StringBuilder(prefix, 0, whole, whole + open.Count);
            foreach (char closer in open) text.Append(closer);
            return text.ToString();
        }
    }

    /// <summary>The position behind the closing quote; one past the end where there is none.</summary>
    private static int EndOfString(string text, int at)
    {
        for (int i = at + 1; i < text.Length; i++)
        {
            if (text[i] == '"') return i + 1;
            if (text[i] == '\\') i++;
        }
        return text.Length + 1;
    }
}
