using System.Collections.Concurrent;

namespace QwenServe.Text.Grammar;

/// <summary>The string formats of JSON schema that are regular, each at most as wide as ajv-formats (full mode) takes it.</summary>
internal static class StringFormats
{
    private const string Time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?";
    private const string Zone = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    private const string LeapYear = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
    private const string Date = "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|" + LeapYear + "-02-29)";
    private const string Octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    private const string Ipv4 = Octet + "(\\." + Octet + "){3}";
    private const string H16 = "[0-9a-fA-F]{1,4}";
    private const string Ls32 = "(" + H16 + ":" + H16 + "|" + Ipv4 + ")";
    private const string Label = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";
    private const string Atext = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";
    private const string Pchar = "([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})";
    private const string UriTail = "(\\?(" + Pchar + "|[/?])*)?(#(" + Pchar + "|[/?])*)?";
    private const string Authority = "(([a-zA-Z0-9._~!$&'()*+,;=:-]|%[0-9a-fA-F]{2})*@)?([a-zA-Z0-9._~!$&'()*+,;=-]|%[0-9a-fA-F]{2})+(:[0-9]*)?";
    private const string Uri = "[a-zA-Z][a-zA-Z0-9+.-]*:(//" + Authority + "(/" + Pchar + "*)*|(/" + Pchar + "+|" + Pchar + "+)(/" + Pchar + "*)*)" + UriTail;
    private const string DurationTime = "T([0-9]+H([0-9]+M)?([0-9]+S)?|[0-9]+M([0-9]+S)?|[0-9]+S)";

    private static readonly Dictionary<string, string> Patterns = new(StringComparer.Ordinal)
    {
        ["date"] = Date,
        ["time"] = Time + Zone,
        ["iso-time"] = Time + Zone + "?",
        ["date-time"] = Date + "T" + Time + Zone,
        ["iso-date-time"] = Date + "T" + Time + Zone + "?",
        ["duration"] = "P([0-9]+W|[0-9]+Y([0-9]+M)?([0-9]+D)?(" + DurationTime + ")?|[0-9]+M([0-9]+D)?(" + DurationTime + ")?|[0-9]+D(" + DurationTime + ")?|" + DurationTime + ")",
        ["email"] = Atext + "(\\." + Atext + ")*@(" + Label + "\\.)+" + Label,
        ["uuid"] = "(urn:uuid:)?[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
        ["ipv4"] = Ipv4,
        ["ipv6"] = "(" + H16 + ":){6}" + Ls32 + "|::(" + H16 + ":){5}" + Ls32 + "|(" + H16 + ")?::(" + H16 + ":){4}" + Ls32
            + "|((" + H16 + ":){0,1}" + H16 + ")?::(" + H16 + ":){3}" + Ls32 + "|((" + H16 + ":){0,2}" + H16 + ")?::(" + H16 + ":){2}" + Ls32
            + "|((" + H16 + ":){0,3}" + H16 + ")?::" + H16 + ":" + Ls32 + "|((" + H16 + ":){0,4}" + H16 + ")?::" + Ls32
            + "|((" + H16 + ":){0,5}" + H16 + ")?::" + H16 + "|((" + H16 + ":){0,6}" + H16 + ")?::",
        ["uri"] = Uri,
        ["uri-reference"] = Uri + "|/" + Pchar + "+(/" + Pchar + "*)*" + UriTail,
        ["json-pointer"] = "(/([^~/]|~[01])*)*",
        ["relative-json-pointer"] = "(0|[1-9][0-9]*)(#|(/([^~/]|~[01])*)*)",
        ["byte"] = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
    };

    private static readonly ConcurrentDictionary<string, Dfa> Known = new(StringComparer.Ordinal);

    /// <summary>The format's automaton over code points, or null for a format that is unknown or not regular.</summary>
    public static Dfa? Find(string format)
    {
        if (Known.TryGetValue(format, out var known)) return known;
        Dfa dfa;
        if (format == "hostname")
        {
            // At most 63 characters in all, so that no label is longer than a label may be.
            dfa = Dfa.Of(RegexParser.Parse(Label + "(\\." + Label + ")*")).Intersect(Dfa.OfLength(1, 63));
        }
        else if (Patterns.TryGetValue(format, out var pattern)) dfa = Dfa.Of(RegexParser.Parse(pattern));
        else return null;
        return Known.GetOrAdd(format, dfa);
    }
}
