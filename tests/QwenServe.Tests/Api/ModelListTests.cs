using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Tests.Api;

/// <summary>Which models the settings name, and what each has of its own.</summary>
public sealed class ModelListTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("qwenserve-models-").FullName;
    private readonly Dictionary<string, string> _environment = [];

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void Models_are_named_where_they_are_given_or_by_names_in_their_order()
    {
        Assert.Equal(["a: org/x", "b: org/y"], Models("--model", "a=org/x", "--model", "b=org/y"));
        Assert.Equal(["a: org/x", "b: org/y"], Models("--model", "org/x", "--model", "org/y", "--served-model-name", "a", "--served-model-name", "b"));
        Assert.Equal(["org/x: org/x", "b,c: org/y"], Models("--model", "org/x", "--model", "b=org/y", "--served-model-name", "b=c"));
        Assert.Equal(["a,one: org/x", "b,two: org/y"], Models("--model", "a=org/x", "--model", "b=org/y", "--served-model-name", "one", "--served-model-name", "two"));
        Assert.Equal(["org/x: org/x", "org/y: org/y"], Models("serve", "org/x", "--model", "org/y"));
        Assert.Equal(["one,two: org/x"], Models("--model", "org/x", "--served-model-name", "one", "--served-model-name", "two"));
        _environment["QWENSERVE_MODEL"] = "a=org/x, org/y";
        Assert.Equal(["a: org/x", "org/y: org/y"], Models());
        Assert.Equal(["org/z: org/z"], Models("--model", "org/z"));
    }

    [Fact]
    public void The_embedded_model_may_be_one_of_them()
    {
        Assert.Equal(["qwenserve-demo: ", "b: org/y"], Models("--model", "qwenserve-demo", "--model", "b=org/y"));
        Assert.Equal(["demo: "], Models("--model", "demo=qwenserve-demo"));
    }

    [Fact]
    public void A_folder_is_found_by_its_name_and_its_path_and_may_hold_any_character()
    {
        string odd = Path.Combine(_root, "a=b,c");
        Directory.CreateDirectory(odd);
        Assert.Equal([$"a=b,c,{odd}: {odd}"], Models("--model", odd));
        _environment["QWENSERVE_MODEL"] = odd;
        Assert.Equal([$"a=b,c,{odd}: {odd}"], Models());
    }

    [Fact]
    public void A_setting_holds_for_all_models_or_is_one_models_own()
    {
        string[] models = ["--model", "a=org/x", "--model", "b=org/y"];
        var each = Load([.. models, "--device", "cpu", "--kv-cache-memory", "b=1GiB", "--max-model-len", "a=2k", "--max-model-len", "4k"]).EachModel;
        Assert.All(each, s => Assert.Equal("cpu", s.Engine.Device));
        Assert.Null(each[0].Engine.KvCacheMemory);
        Assert.Equal(1L << 30, each[1].Engine.KvCacheMemory);
        Assert.Equal(2000, each[0].Model.MaxModelLen);
        Assert.Equal(4000, each[1].Model.MaxModelLen);

        _environment["QWENSERVE_DEVICE"] = "a=cpu,b=cuda:1";
        _environment["QWENSERVE_BLOCK_SIZE"] = "b=32";
        each = Load(models).EachModel;
        Assert.Equal("cpu", each[0].Engine.Device);
        Assert.Equal(("cuda", 1), (each[1].Engine.Device, each[1].Engine.GpuOrdinal));
        Assert.Equal([16, 32], each.Select(s => s.Engine.BlockSize));
        Assert.Equal(["cpu", "cpu"], Load([.. models, "--device", "cpu"]).EachModel.Select(s => s.Engine.Device));
    }

    [Fact]
    public void The_file_has_a_list_of_models_with_settings_of_their_own()
    {
        File.WriteAllText(Path.Combine(_root, "appsettings.json"), """
            {"Engine": {"BlockSize": 32, "Device": "cpu"},
             "Models": [{"Name": "org/x", "ServedModelName": ["small", "s"], "MaxModelLen": "2k", "PrefixCaching": false},
                        {"Name": "org/y", "ServedModelName": "big", "Device": "cuda:2", "BlockSize": 8}]}
            """);
        Assert.Equal(["small,s: org/x", "big: org/y"], Models());
        var each = Load().EachModel;
        Assert.Equal(["cpu", "cuda"], each.Select(s => s.Engine.Device));
        Assert.Equal(2, each[1].Engine.GpuOrdinal);
        Assert.Equal([32, 8], each.Select(s => s.Engine.BlockSize));
        Assert.Equal([2000, null], each.Select(s => s.Model.MaxModelLen));
        Assert.Equal([false, true], each.Select(s => s.Engine.PrefixCaching));
        // A stronger source wins over a model's own setting too, and names other models if it names any.
        Assert.Equal([64, 16], Load("--block-size", "64", "--block-size", "big=16").EachModel.Select(s => s.Engine.BlockSize));
        Assert.Equal(["org/z: org/z"], Models("--model", "org/z"));
    }

    [Fact]
    public void A_GPU_is_divided_by_shares_and_the_CPU_equally()
    {
        string[] models = ["--model", "a=org/x", "--model", "b=org/y", "--model", "c=org/z"];
        // Each is loaded beside what was loaded before it, so its bound is the sum.
        AssertBounds([0.3, 0.6, 0.9], models);
        AssertBounds([0.25, 0.75, 1], [.. models, "--gpu-memory-utilization", "1", "--gpu-memory-utilization", "b=0.5"]);
        AssertBounds([0.45, 0.45, 0.9], [.. models, "--device", "b=cuda:1", "--gpu-memory-utilization", "b=0.45"]);
        Assert.Equal([2, 1, 2], Load([.. models, "--device", "b=cuda"]).EachModel.Select(s => s.Engine.CpuSharers));
        Assert.Equal(1, Load().Engine.CpuSharers);
        Assert.Equal(0.9, Load().Engine.GpuMemoryUtilization);
    }

    [Theory]
    [InlineData("the model org/x is given twice", "--model", "a=org/x", "--model", "b=org/x")]
    [InlineData("the model qwenserve-demo is given twice", "--model", "a=qwenserve-demo", "--model", "qwenserve-demo")]
    [InlineData("two models are called a", "--model", "a=org/x", "--model", "a=org/y")]
    [InlineData("1 names for 2 models", "--model", "org/x", "--model", "org/y", "--served-model-name", "a")]
    [InlineData("is not NAME=DIR", "--model", "a=")]
    [InlineData("b: --block-size", "--model", "a=org/x", "--model", "b=org/y", "--block-size", "b=12")]
    [InlineData("add up to 1.2", "--model", "a=org/x", "--model", "b=org/y", "--gpu-memory-utilization", "a=0.6", "--gpu-memory-utilization", "b=0.6")]
    [InlineData("leave b nothing", "--model", "a=org/x", "--model", "b=org/y", "--gpu-memory-utilization", "a=0.95")]
    public void A_contradiction_is_one_line_that_names_the_model(string message, params string[] arguments)
    {
        var error = Assert.Throws<StartupException>(() => Load(arguments));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal(2, error.ExitCode);
    }

    [Theory]
    [InlineData("""{"Model": {"Name": "org/x"}, "Models": [{"Name": "org/y"}]}""", "both")]
    [InlineData("""{"Models": [{"Name": "org/y", "Devise": "cpu"}]}""", "'Devise'")]
    public void A_mistake_in_the_list_is_named(string file, string message)
    {
        File.WriteAllText(Path.Combine(_root, "appsettings.json"), file);
        Assert.Contains(message, Assert.Throws<StartupException>(() => Load()).Message, StringComparison.Ordinal);
    }

    private void AssertBounds(double[] expected, string[] arguments)
        => Assert.Equal(expected, Load(arguments).EachModel.Select(s => Math.Round(s.Engine.GpuMemoryUtilization, 9)));

    private List<string> Models(params string[] arguments) => [.. Load(arguments).EachModel.Select(s => $"{string.Join(',', s.Model.Names)}: {s.Model.Name}")];

    private QwenServeSettings Load(params string[] arguments)
    {
        var (values, _, _) = CommandLine.Parse(arguments, TextWriter.Null, TextWriter.Null);
        Assert.NotNull(values);
        return QwenServeSettings.Load(_root, values, name => _environment.GetValueOrDefault(name));
    }
}
