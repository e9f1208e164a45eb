using System.Text.Json;
using Microsoft.Extensions.Configuration;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Tests.Api;

public sealed class SettingsTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("qwenserve-settings-").FullName;
    private readonly Dictionary<string, string> _environment = [];

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void The_command_line_wins_over_the_environment_and_that_over_the_file()
    {
        File.WriteAllText(Path.Combine(_root, "appsettings.json"), """{"Server": {"Port": 1, "Host": "0.0.0.1"}, "Engine": {"BlockSize": 32}}""");
        _environment["QWENSERVE_PORT"] = "2";
        _environment["QWENSERVE_HOST"] = "0.0.0.2";
        var settings = Load("--port", "3");
        Assert.Equal(3, settings.Server.Port);
        Assert.Equal("0.0.0.2", settings.Server.Host);
        Assert.Equal(32, settings.Engine.BlockSize);
    }

    [Fact]
    public void A_list_replaces_the_whole_list_of_a_weaker_source()
    {
        File.WriteAllText(Path.Combine(_root, "appsettings.json"), """{"Server": {"ApiKey": ["a", "b", "c"], "ServedModelName": ["x", "y"]}}""");
        var settings = Load("--api-key", "one", "--api-key", "two");
        Assert.Equal(["one", "two"], settings.Server.ApiKeys);
        Assert.Equal(["x", "y"], settings.Model.Names);
        _environment["QWENSERVE_API_KEY"] = "k1,k2";
        Assert.Equal(["k1", "k2"], Load().Server.ApiKeys);
    }

    [Fact]
    public void An_empty_key_is_refused_where_it_is_given_and_an_empty_variable_is_none()
    {
        var error = Assert.Throws<StartupException>(() => Load("--api-key", ""));
        Assert.Equal(2, error.ExitCode);
        Assert.StartsWith("--api-key ", error.Message, StringComparison.Ordinal);
        Assert.Throws<StartupException>(() => Load("--api-key", "one", "--api-key", " "));
        _environment["QWENSERVE_API_KEY"] = "";
        Assert.Empty(Load().Server.ApiKeys);
    }

    [Theory]
    [InlineData("--enable-prefix-caching", true)]
    [InlineData("--no-enable-prefix-caching", false)]
    public void A_switch_has_both_forms(string argument, bool expected)
        => Assert.Equal(expected, Load(argument).Engine.PrefixCaching);

    [Theory]
    [InlineData("--max-model-len", "32k", 32_000)]
    [InlineData("--max-model-len", "32K", 32_768)]
    [InlineData("--max-model-len", "4096", 4096)]
    public void Lengths_are_written_as_vLLM_writes_them(string option, string value, int expected)
        => Assert.Equal(expected, Load(option, value).Model.MaxModelLen);

    [Theory]
    [InlineData("4GiB", 4L << 30)]
    [InlineData("4G", 4L << 30)]
    [InlineData("4GB", 4_000_000_000)]
    [InlineData("512MiB", 512L << 20)]
    [InlineData("1.5g", 3L << 29)]
    [InlineData("1000000", 1_000_000)]
    public void Memory_is_written_with_the_usual_units(string value, long expected)
        => Assert.Equal(expected, Load("--kv-cache-memory", value).Engine.KvCacheMemory);

    [Theory]
    [InlineData("serve", "org/name")]
    [InlineData("org/name")]
    [InlineData("--model", "org/name")]
    public void The_model_may_be_given_as_an_argument(params string[] arguments)
        => Assert.Equal("org/name", Load(arguments).Model.Name);

    [Theory]
    [InlineData("--port", "80000", "--port (setting Server:Port, variable QWENSERVE_PORT): '80000' must be a whole number from 0 to 65535")]
    [InlineData("--dtype", "int3", "--dtype (setting Model:Dtype, variable QWENSERVE_DTYPE): 'int3' must be one of auto, bf16")]
    [InlineData("--block-size", "12", "must be a power of two")]
    [InlineData("--host", "example", "must be an IP address")]
    [InlineData("--device", "small=cpu", "no model is called small")]
    public void A_wrong_value_is_told_with_all_three_spellings(string option, string value, string message)
    {
        var error = Assert.Throws<StartupException>(() => Load(option, value));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal(2, error.ExitCode);
    }

    [Fact]
    public void A_file_that_is_not_JSON_is_named()
    {
        File.WriteAllText(Path.Combine(_root, "appsettings.json"), "{ nonsense");
        Assert.Contains("appsettings.json", Assert.Throws<StartupException>(() => Load()).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"Server": {"Prot": 9000}}""", "Server:Prot")]
    [InlineData("""{"Port": 9000}""", "Port")]
    [InlineData("""{"Model": {"Name": ["a"], "Names": ["b"]}}""", "Model:Names:0")]
    public void A_setting_of_the_file_that_does_not_exist_is_named(string file, string key)
    {
        File.WriteAllText(Path.Combine(_root, "appsettings.json"), file);
        var error = Assert.Throws<StartupException>(() => Load());
        Assert.Contains($"there is no setting {key} ", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, error.ExitCode);
    }

    [Fact]
    public void The_file_that_comes_with_the_program_has_the_defaults()
    {
        File.Copy(Path.Combine(Repository.Root, "appsettings.json"), Path.Combine(_root, "appsettings.json"));
        var file = new ConfigurationBuilder().SetBasePath(_root).AddJsonFile("appsettings.json").Build();
        foreach (var (key, value) in SettingsCatalog.Defaults) Assert.Equal($"{key}={value}", $"{key}={file[key]}", ignoreCase: true);
        string Text()
        {
            var s = Load();
            return JsonSerializer.Serialize(new object[] { s.Model, s.Server, s.Engine, s.Access, s.Limits, s.Log, s.Telemetry });
        }
        string delivered = Text();
        File.Delete(Path.Combine(_root, "appsettings.json"));
        Assert.Equal(Text(), delivered);
    }

    [Fact]
    public void Help_shows_defaults()
    {
        var output = new StringWriter();
        CommandLine.Parse(["--help"], output, output);
        foreach (string line in new[] { "0 takes a free one [8000]", "0 is no limit [0]", "Largest request body [64MiB]", "at / [on]" })
            Assert.Contains(line, output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Help_shows_each_option_and_examples()
    {
        var output = new StringWriter();
        var (values, _, code) = CommandLine.Parse(["--help"], output, output);
        Assert.Null(values);
        Assert.Equal(0, code);
        foreach (var definition in SettingsCatalog.All) Assert.Contains(definition.Option, output.ToString(), StringComparison.Ordinal);
        Assert.Contains("Examples:", output.ToString(), StringComparison.Ordinal);
        Assert.Matches(@"Commands:\n( .*\n)*  serve .*Serves a model", output.ToString());
        Assert.Matches(@"Commands:\n( .*\n)*  health +Asks the server", output.ToString());
    }

    [Fact]
    public void An_unknown_option_ends_with_code_2_and_one_line()
    {
        var error = new StringWriter();
        var (values, _, code) = CommandLine.Parse(["--no-such-thing"], error, error);
        Assert.Null(values);
        Assert.Equal(2, code);
        Assert.Single(error.ToString().Trim().Split('\n'));
    }

    [Theory]
    [InlineData(true, "health")]
    [InlineData(true, "health", "--port", "9000")]
    [InlineData(true, "--port", "9000", "health")]
    [InlineData(false, "serve", "--port", "9000")]
    [InlineData(false, "--model", "health")]
    public void Health_is_a_command_with_the_servers_options(bool health, params string[] arguments)
    {
        var (values, asked, code) = CommandLine.Parse(arguments, TextWriter.Null, TextWriter.Null);
        Assert.Equal(0, code);
        Assert.Equal(health, asked);
        if (arguments.Contains("--port")) Assert.Equal("9000", values!["Server:Port"]);
    }

    [Theory]
    [InlineData("QWENSERVE_MAX_SEQS", "QWENSERVE_MAX_NUM_SEQS")]
    [InlineData("QWENSERVE_PROT", "QWENSERVE_PORT")]
    [InlineData("QWENSERVE_APIKEY", "QWENSERVE_API_KEY")]
    [InlineData("qwenserve_log_level", "QWENSERVE_LOG_LEVEL")]
    [InlineData("QWENSERVE_KV_CACHE_MEMORY_", "QWENSERVE_KV_CACHE_MEMORY")]
    [InlineData("QWENSERVE_CUBINCACHE", "QWENSERVE_CUBIN_CACHE")]
    public void A_variable_that_is_no_setting_is_told_with_the_nearest_one(string name, string nearest)
        => Assert.Equal([$"{name} is no setting and is ignored; the nearest is {nearest}"], UnknownVariables.Warn(["PATH", "QWENSERVE_PORT", name]));

    [Theory]
    [InlineData("QWENSERVE_MAX_NUM_SEQS")]
    [InlineData("QWENSERVE_CUBIN_CACHE")]
    [InlineData("QWENSERVE_SERVICE_HOST")]
    [InlineData("QWENSERVE_SERVICE_PORT_HTTP")]
    [InlineData("QWENSERVE_PORT_8000_TCP_ADDR")]
    [InlineData("MY_QWENSERVE_X")]
    public void Settings_and_what_Kubernetes_says_of_a_service_are_no_mistakes(string name) => Assert.Empty(UnknownVariables.Warn([name]));

    private QwenServeSettings Load(params string[] arguments)
    {
        var (values, _, _) = CommandLine.Parse(arguments, TextWriter.Null, TextWriter.Null);
        Assert.NotNull(values);
        return QwenServeSettings.Load(_root, values, name => _environment.GetValueOrDefault(name));
    }
}
