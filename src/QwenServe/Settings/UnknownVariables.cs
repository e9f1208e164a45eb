using System.Text.RegularExpressions;

namespace QwenServe.Settings;

/// <summary>Environment variables that are named like settings and are none: a misspelled one would otherwise be ignored without a word.</summary>
internal static partial class UnknownVariables
{
    private const string Prefix = "QWENSERVE_";

    /// <summary>Read where it is used, by a room that knows no settings.</summary>
    private const string CubinCache = "QWENSERVE_CUBIN_CACHE";

    /// <param name="names">Names of all variables there are.</param>
    /// <returns>One line for each unknown one, in alphabetical order.</returns>
    public static IReadOnlyList<string> Warn(IEnumerable<string> names)
    {
        string[] known = [.. SettingsCatalog.All.Select(d => d.Variable), CubinCache];
        return [.. names.Where(n => n.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) && !known.Contains(n) && !OfKubernetes().IsMatch(n)).Order(StringComparer.Ordinal)
            .Select(n => $"{n} is no setting and is ignored; the nearest is {known.MinBy(k => Distance(n.ToUpperInvariant(), k))}")];
    }

    /// <summary>What a pod gets for a service called qwenserve.</summary>
    [GeneratedRegex("^QWENSERVE_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$")]
    private static partial Regex OfKubernetes();

    /// <summary>Letters to insert, delete or replace (Levenshtein), in one row of the table.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int k = 1; k <= b.Length; k++)
            {
                int replaced = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);
                diagonal = row[k];
                row[k] = Math.Min(replaced, 1 + Math.Min(row[k], row[k - 1]));
            }
        }
        return row[b.Length];
    }
}
