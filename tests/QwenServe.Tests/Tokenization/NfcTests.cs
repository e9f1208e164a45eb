using System.Security.Cryptography;
using System.Text;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Tokenization;

/// <summary>Normalization against ICU's: the hashes were printed by NfcVectors.generate.mjs (Node 20, Unicode 17).</summary>
public sealed class NfcTests
{
    private static readonly (int First, int Last)[] Ranges =
    [
        (0x41, 0x7A), (0xC0, 0x17F), (0x300, 0x36F), (0x300, 0x36F), (0x300, 0x345), (0x5B0, 0x5C7), (0x610, 0x65F), (0x915, 0x95F), (0x9BE, 0x9DF),
        (0xB40, 0xDFF), (0xF40, 0xFC6), (0x1100, 0x11FF), (0x1161, 0x11C2), (0xAC00, 0xAC3F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x1E00, 0x1FFF),
        (0x20D0, 0x20F0), (0x3040, 0x30FF), (0xF900, 0xFAFF), (0x11080, 0x113FF), (0x16D60, 0x16D6F), (0x1D150, 0x1D1FF), (0x1E000, 0x1E8DF), (0x2F800, 0x2FA1D),
    ];

    [Theory]
    [InlineData(0x0, 0xFFF, "CF2197E2FE80EE6351082BB9A78CC096920AE8370A4637A15F4E2364250BC03E")]
    [InlineData(0x1000, 0x1FFF, "F6F17C38F01D8B3ECADD08A70A875BD9F5ED5B487B649C779F5F4616EA42C378")]
    [InlineData(0x2000, 0x2FFF, "74778F1557D24473FC27921B831E9E18017F997B21E09F4B2BA66B6DD4B10848")]
    [InlineData(0x3000, 0x3FFF, "5E73D592101B936C38628036548283A45ACC9EDE9A93614C21D815222CB74BA4")]
    [InlineData(0x4000, 0x4FFF, "4F26EA8C089284ECE47C5EC58967907A6878C599704A55519CD3F1959A91B6B3")]
    [InlineData(0x5000, 0x5FFF, "968B1F53FE83C61AC57B616CA4073B319B2AD666123EC0692A6A2D7B6C731651")]
    [InlineData(0x6000, 0x6FFF, "84DBC049AE7EBF67BC97606138595CE6D347C904200A7C4390935111D5A4890C")]
    [InlineData(0x7000, 0x7FFF, "6F38327BB8D493B763EDC797153FA2D5F9E443C02633252BD5E473B4CAF11C6D")]
    [InlineData(0x8000, 0x8FFF, "BABEBB273EEB038D5B9D6BED79553BA3C62F44326D2AB6432CF4F6816A2D730C")]
    [InlineData(0x9000, 0x9FFF, "E63129A3C8F72367575C97DA0E5516711A7ED1383C895B5596291777E0991C5A")]
    [InlineData(0xA000, 0xAFFF, "5152F1FBECB2B61160B139C27CEB4E847C6A4EAA9D4A37C3ADD5618A2143D2E8")]
    [InlineData(0xB000, 0xBFFF, "C7553010D690D416A8AC249FC07E27C3B1FAB3C995925B82F9D64CBAEEE6E5D5")]
    [InlineData(0xC000, 0xCFFF, "1E949253F08F7920F43655C9EF0D9E8189337DDB7677E6E5FE9AE9BA05777F15")]
    [InlineData(0xD000, 0xDFFF, "7DF41D09B4F4B487C307E72E749AAD2A897264041AFFF1915EE41DEFECDA4CC9")]
    [InlineData(0xE000, 0xEFFF, "78E81F7E45F7DE692214EEFB68768B8DE79E16A04FB7091B384DC529F532CEF1")]
    [InlineData(0xF000, 0xFFFF, "E7768773167AC5499A824BEF662EA78D5C38107702E598E2F560E22478AB3C1B")]
    [InlineData(0x10000, 0x13FFF, "1E7FFB036247B0A1272D0392AE80EDD63862282C8007A601368F684E178BBDA7")]
    [InlineData(0x14000, 0x1BFFF, "6700A1189EF2ADCB8902E41CCAD848D5E2902BCF8F42BD4EB89BEB5509F913AC")]
    [InlineData(0x1C000, 0x1FFFF, "EB84E04914DF595EB779BC9F02C72D2648A5F03E62DB35DCFB72D9A252D3E176")]
    [InlineData(0x20000, 0x2FFFF, "49FFDCEE9BBF2176FA51B0003625506774C7D56A4096892D639321B411E157AB")]
    [InlineData(0x30000, 0x10FFFF, "B71E67568E29FD698E4DDA56F3C7ACA393B25C417F61241188019B80BFF3CF78")]
    public void Normalizes_every_code_point_as_ICU_does(int first, int last, string sha256)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var codePoint = first; codePoint <= last; codePoint++)
        {
            if (codePoint is >= 0xD800 and <= 0xDFFF) continue;
            var c = char.ConvertFromUtf32(codePoint);
            Append(hash, c);
            Append(hash, c + "\u0301" + c);
            Append(hash, "A" + c + "\u0323" + c + "\u0334");
        }
        Assert.Equal(sha256, Convert.ToHexString(hash.GetHashAndReset()));
    }

    [Theory]
    [InlineData(1, "7233A50C0B197CDDB42CEE53EBD3246A0C982CBBCF46E705A7F7C04AB9C41B50")]
    [InlineData(2, "8EC0414F6669D2628012A7D488672DF7F9560DD50273A5E5E370547D50C038C8")]
    [InlineData(3, "1572CFC98FAF1737A59DC6AF7A224CD96A07A7FCA90FD245F66E6A696B04AE60")]
    public void Normalizes_random_sequences_as_ICU_does(int seed, string sha256)
    {
        var state = (uint)seed;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var i = 0; i < 30_000; i++)
        {
            var text = new StringBuilder();
            for (var left = 1 + Next(24); left > 0; left--)
            {
                var (first, last) = Ranges[Next(Ranges.Length)];
                text.Append(char.ConvertFromUtf32(first + Next(last - first + 1)));
            }
            Append(hash, text.ToString());
        }
        Assert.Equal(sha256, Convert.ToHexString(hash.GetHashAndReset()));

        int Next(int n)
        {
            state = state * 1664525 + 1013904223;
            return (int)((state >> 8) % (uint)n);
        }
    }

    [Fact]
    public void Normal_text_is_returned_itself()
    {
        foreach (var text in new[] { "", "plain", "déjà vu", "中文，字。", "한국어", "ไทยก็", "🤗👍🏽", "Việt Nam", "\uD800x" }) Assert.Same(text, Nfc.Normalize(text));
    }

    [Fact]
    public void Normalizing_twice_changes_nothing_more()
    {
        var random = new Random(10);
        for (var i = 0; i < 20_000; i++)
        {
            var once = Nfc.Normalize(RandomText.Next(random, 20, loneSurrogates: true));
            Assert.Equal(once, Nfc.Normalize(once));
        }
    }

    [Fact]
    public void A_million_marks_on_one_letter_are_sorted_without_quadratic_time()
    {
        var text = "e" + string.Concat(Enumerable.Repeat("\u0301\u0323\u0334", 350_000));
        var expected = "\u1EB9" + new string('\u0334', 350_000) + new string('\u0323', 349_999) + new string('\u0301', 350_000);
        Assert.Equal(expected, Nfc.Normalize(text));
    }

    private static void Append(IncrementalHash hash, string text) => hash.AppendData(Encoding.UTF8.GetBytes(Nfc.Normalize(text) + "\n"));
}
