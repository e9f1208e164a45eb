using System.Xml.Linq;

namespace QwenServe.Tests;

public class ArchitectureTests
{
    [Theory]
    [InlineData("QwenServe", "QwenServe.Engine QwenServe.Text")]
    [InlineData("QwenServe.Engine", "QwenServe.Compute")]
    [InlineData("QwenServe.Text", "")]
    [InlineData("QwenServe.Compute", "")]
    public void Projects_reference_only_what_the_map_allows(string project, string allowed)
    {
        var references = Load(project).Descendants("ProjectReference")
            .Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value.Replace('\\', '/')))
            .Order(StringComparer.Ordinal);
        Assert.Equal(allowed, string.Join(' ', references));
    }

    [Theory]
    [InlineData("QwenServe.Engine")]
    [InlineData("QwenServe.Text")]
    [InlineData("QwenServe.Compute")]
    public void Packages_live_in_the_front_room_only(string project)
        => Assert.Empty(Load(project).Descendants("PackageReference"));

    [Fact]
    public void Unsafe_code_compiles_in_Compute_alone()
    {
        var allowing = Directory.EnumerateFiles(Repository.Root, "*.csproj", SearchOption.AllDirectories)
            .Where(f => XDocument.Load(f).Descendants("AllowUnsafeBlocks").Any(e => e.Value == "true"))
            .Select(f => Path.GetFileNameWithoutExtension(f));
        Assert.Equal(["QwenServe.Compute"], allowing);
    }

    [Fact]
    public void The_top_level_holds_the_map_and_what_tools_want_there()
    {
        string[] map = ["QwenServe.sln", "src", "tests", "deploy", "docker", "appsettings.json", "Dockerfile", "README.md"];
        string[] tools = ["Directory.Build.props", "Directory.Packages.props", "LICENSE", "global.json"];
        var found = Directory.EnumerateFileSystemEntries(Repository.Root).Select(e => Path.GetFileName(e)!).Where(e => !e.StartsWith('.') && e != "TestResults"
            && (File.Exists(Path.Combine(Repository.Root, e)) || Directory.EnumerateFiles(Path.Combine(Repository.Root, e), "*", SearchOption.AllDirectories).Any()));
        Assert.Empty(found.Except([.. map, .. tools]));
    }

    private static XDocument Load(string project)
        => XDocument.Load(Path.Combine(Repository.Root, "src", project, project + ".csproj"));
}
