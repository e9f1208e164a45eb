using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Tokenization;

public sealed class PreTokenizerTests
{
    [Fact]
    public void Cuts_as_the_expression_does_with_backtracking()
    {
        var random = new Random(1);
        for (var i = 0; i < 40_000; i++)
        {
            var text = RandomText.Next(random, 14);
            Assert.Equal(BacktrackingMatcher.Cut(text), Cut(text));
        }
    }

    [Fact]
    public void Cuts_as_the_runtimes_own_regex_does_where_that_is_right()
    {
        // Below U+10000 and without the long s, .NET's Regex means the same by this expression.
        var regex = new Regex(SmallTokenizer.Expression, RegexOptions.CultureInvariant);
        var random = new Random(2);
        for (var i = 0; i < 20_000; i++)
        {
            var text = RandomText.Next(random, 14);
            if (text.Any(c => char.IsSurrogate(c) || c == 'ſ')) continue;
            Assert.Equal(regex.Matches(text).Select(m => m.Value), Cut(text));
        }
    }

    [Theory]
    [InlineData("x'SAD", "x|'S|AD")]
    [InlineData("x'ſ x", "x|'ſ| x")]
    [InlineData("a  b", "a| | b")]
    [InlineData("a \n  b", "a| \n| | b")]
    [InlineData("a   ", "a|   ")]
    [InlineData("!!\r\n\nx", "!!\r\n\n|x")]
    [InlineData("\u00A0!", "\u00A0|!")]
    [InlineData("2024年", "2|0|2|4|年")]
    [InlineData("𠀀𝟘", "𠀀|𝟘")]
    [InlineData("ก็x", "ก|็x")]
    public void Cuts_known_texts(string text, string pieces) => Assert.Equal(pieces.Split('|'), Cut(text));

    [Fact]
    public void Knows_every_letter_number_and_space_of_Unicode_16()
    {
        // SHA-256 over one byte a code point: letter 1, number 2, space 3, line break 4, other 0. Compared with Node 20
        // (ICU, Unicode 17) character by character: equal but for the 4,657 letters and numbers that Unicode 17 added,
        // which are unassigned both here and in the reference tokenizer.
        var classes = new byte[0x110000];
        for (var codePoint = 0; codePoint < classes.Length; codePoint++) classes[codePoint] = CharacterTable.ClassOf(codePoint);
        Assert.Equal("AF25EF5D342F6CDE82CF4DD765D6F382E43D994F34A0B0C2E7F87AE91D0D3369", Convert.ToHexString(SHA256.HashData(classes)));
        for (var c = 0; c < 0x80; c++) Assert.Equal(classes[c], CharacterTable.Ascii[c]);
    }

    private static List<string> Cut(string text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        var utf8 = new byte[length + PreTokenizer.Padding];
        Encoding.UTF8.GetBytes(text, utf8);
        var pieces = new List<string>();
        for (int start = 0, end; start < length; start = end)
        {
            end = PreTokenizer.NextPiece(utf8, length, start);
            Assert.InRange(end, start + 1, length);
            pieces.Add(Encoding.UTF8.GetString(utf8, start, end - start));
        }
        return pieces;
    }

    /// <summary>The expression spelled out as a matcher that tries, and on failure tries again, over runes.</summary>
    private static class BacktrackingMatcher
    {
        private delegate bool Continuation(int at);

        private delegate bool Node(Rune[] text, int at, Continuation then);

        private static readonly Node Expression = Either(
            Sequence(One(r => r.Value == '\''), Either(
                Sequence(Letter('s')), Sequence(Letter('t')), Sequence(Letter('r'), Letter('e')), Sequence(Letter('v'), Letter('e')),
                Sequence(Letter('m')), Sequence(Letter('l'), Letter('l')), Sequence(Letter('d')))),
            Sequence(Optional(r => !IsNewline(r) && !IsLetter(r) && !IsNumber(r)), OneOrMore(IsLetter)),
            One(IsNumber),
            Sequence(Optional(r => r.Value == ' '), OneOrMore(r => !Rune.IsWhiteSpace(r) && !IsLetter(r) && !IsNumber(r)), ZeroOrMore(IsNewline)),
            Sequence(ZeroOrMore(Rune.IsWhiteSpace), OneOrMore(IsNewline)),
            Sequence(OneOrMore(Rune.IsWhiteSpace), (text, at, then) => (at == text.Length || Rune.IsWhiteSpace(text[at])) && then(at)),
            OneOrMore(Rune.IsWhiteSpace));

        public static List<string> Cut(string text)
        {
            var runes = text.EnumerateRunes().ToArray();
            var pieces = new List<string>();
            for (var at = 0; at < runes.Length;)
            {
                var end = -1;
                Assert.True(Expression(runes, at, e => { end = e; return true; }));
                pieces.Add(string.Concat(runes[at..end]));
                at = end;
            }
            return pieces;
        }

        private static bool IsNewline(Rune r) => r.Value is '\r' or '\n';

        private static bool IsLetter(Rune r) => Rune.GetUnicodeCategory(r) is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter
            or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter;

        private static bool IsNumber(Rune r) => Rune.GetUnicodeCategory(r) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

        private static Node Letter(char letter) => One(r => r.Value == letter || r.Value == char.ToUpperInvariant(letter) || (letter == 's' && r.Value == 'ſ'));

        private static Node One(Func<Rune, bool> set) => (text, at, then) => at < text.Length && set(text[at]) && then(at + 1);

        private static Node Optional(Func<Rune, bool> set) => (text, at, then) => One(set)(text, at, then) || then(at);

        private static Node ZeroOrMore(Func<Rune, bool> set) => (text, at, then) => One(set)(text, at, next => ZeroOrMore(set)(text, next, then)) || then(at);

        private static Node OneOrMore(Func<Rune, bool> set) => Sequence(One(set), ZeroOrMore(set));

        private static Node Either(params Node[] nodes) => (text, at, then) => nodes.Any(node => node(text, at, then));

        private static Node Sequence(params Node[] nodes) => nodes.Length == 1
            ? nodes[0]
            : (text, at, then) => nodes[0](text, at, next => Sequence(nodes[1..])(text, next, then));
    }
}
