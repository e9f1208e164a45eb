namespace QwenServe.Tests.Deploy;

/// <summary>Kubernetes objects, compose files and the Dockerfile, read by what knows their fields.</summary>
public class ManifestTests
{
    public static TheoryData<string> Overlays => [.. Directory.GetDirectories(Path.Combine(Repository.Root, "deploy", "kustomize", "overlays")).Select(d => Path.GetFileName(d)!).Order()];

    [ToolTheory("kustomize", "node", "node-packages")]
    [MemberData(nameof(Overlays))]
    public void Each_overlay_builds_and_has_only_fields_that_the_api_knows(string overlay)
    {
        var (code, output) = Tool.CheckWithNode("manifests", [], Build(overlay));
        Assert.True(code == 0, output);
    }

    [ToolFact("kustomize", "node", "node-packages")]
    public void A_mistyped_field_or_type_is_found_in_any_kind_of_object()
    {
        string objects = Build("inference-gateway") + "\n---\n" + File.ReadAllText(Path.Combine(Repository.Root, "deploy", "kustomize", "overlays", "autoscale", "scaledobject.yaml"));
        foreach (var (right, wrong) in new[]
        {
            ("readinessProbe:", "readinesProbe:"), ("failureThreshold: 360", "failureThreshold: many"), ("topologyKey: kubernetes.io/hostname", "topologykey: kubernetes.io/hostname"),
            ("maxUnavailable: 1", "maxUnavailble: 1"), ("policyTypes:", "policyType:"), ("endpointPickerRef:", "extensionRef:"), ("parentRefs:", "parentRef:"),
            ("pollingInterval: 15", "pollInterval: 15"), ("podMetricsEndpoints:", "podMetricEndpoints:"), ("seconds: 5", "second: 5"),
        })
        {
            Assert.Contains(right, objects, StringComparison.Ordinal);
            var (code, output) = Tool.CheckWithNode("manifests", [], objects.Replace(right, wrong, StringComparison.Ordinal));
            Assert.True(code == 1, $"{wrong} was not found: {output}");
        }
    }

    [ToolFact("kustomize")]
    public void Pods_are_asked_at_the_probes_paths_and_get_longer_to_end_than_the_server_takes()
    {
        string objects = Build("cpu");
        foreach (string probe in new[] { "startupProbe", "readinessProbe" }) Assert.Contains("path: /readyz", After(objects, probe + ":", 250), StringComparison.Ordinal);
        Assert.Contains("path: /livez", After(objects, "livenessProbe:", 250), StringComparison.Ordinal);
        int shutdown = int.Parse(After(objects, "--shutdown-timeout\n", 40).Trim().TrimStart('-').Trim().Split('\n')[0].Trim('"', '\''), System.Globalization.CultureInfo.InvariantCulture);
        int grace = int.Parse(After(objects, "terminationGracePeriodSeconds:", 10).Trim().Split('\n')[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(grace > shutdown + 5);
    }

    [ToolFact("node", "node-packages")]
    public void Compose_files_have_only_fields_that_the_specification_knows()
    {
        string[] files = Directory.GetFiles(Path.Combine(Repository.Root, "docker"), "compose*.yml");
        Assert.NotEmpty(files);
        var (code, output) = Tool.CheckWithNode("compose", files);
        Assert.True(code == 0, output);
        using var folder = new TemporaryDirectory();
        string wrong = Path.Combine(folder.Path, "compose.yml");
        File.WriteAllText(wrong, File.ReadAllText(files[0]).Replace("stop_grace_period", "stop_grace", StringComparison.Ordinal));
        Assert.Equal(1, Tool.CheckWithNode("compose", [wrong]).ExitCode);
    }

    [Fact]
    public void What_compose_files_mount_and_build_exists()
    {
        string folder = Path.Combine(Repository.Root, "docker");
        string dockerfile = File.ReadAllText(Path.Combine(Repository.Root, "Dockerfile"));
        foreach (string line in Directory.GetFiles(folder, "compose*.yml").SelectMany(File.ReadAllLines).Select(l => l.Trim()))
        {
            string text = line.Replace("volumes: [", "- ", StringComparison.Ordinal).Replace("\"", "", StringComparison.Ordinal).TrimEnd(']');
            if (text.StartsWith("- .", StringComparison.Ordinal) && text.Contains(":/", StringComparison.Ordinal))
                Assert.True(Path.Exists(Path.Combine(folder, text[2..].Split(':')[0])), line);
            if (text.StartsWith("target: ", StringComparison.Ordinal)) Assert.Contains($" AS {text[8..]}\n", dockerfile, StringComparison.Ordinal);
        }
    }

    [ToolFact("node", "node-packages")]
    public void The_Dockerfile_has_only_instructions_and_flags_that_there_are()
    {
        string file = Path.Combine(Repository.Root, "Dockerfile");
        var (code, output) = Tool.CheckWithNode("dockerfile", [file]);
        Assert.True(code == 0, output);
        using var folder = new TemporaryDirectory();
        string wrong = Path.Combine(folder.Path, "Dockerfile");
        File.WriteAllText(wrong, File.ReadAllText(file).Replace("--start-period", "--startup-period", StringComparison.Ordinal));
        Assert.Equal(1, Tool.CheckWithNode("dockerfile", [wrong]).ExitCode);
    }

    [Fact]
    public void The_Dockerfile_copies_what_exists_and_its_ignore_file_lets_through()
    {
        string[] let = [.. File.ReadAllLines(Path.Combine(Repository.Root, ".dockerignore")).Where(l => l.StartsWith('!')).Select(l => l[1..])];
        int copied = 0;
        foreach (string line in File.ReadAllLines(Path.Combine(Repository.Root, "Dockerfile")))
        {
            if (!line.StartsWith("COPY ", StringComparison.Ordinal) || line.Contains("--from", StringComparison.Ordinal)) continue;
            foreach (string source in line.Split(' ')[1..^1])
            {
                Assert.True(Path.Exists(Path.Combine(Repository.Root, source)), source);
                Assert.Contains(source.TrimEnd('/'), let);
                copied++;
            }
        }
        Assert.True(copied > 0);
        // Everything the build reads from the root is copied.
        foreach (string file in new[] { "Directory.Build.props", "Directory.Packages.props", "global.json", "appsettings.json" }) Assert.Contains(file, let);
    }

    [Fact]
    public void The_image_runs_without_root_or_shell()
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "Dockerfile"));
        string runtime = text[text.IndexOf("-chiseled AS base", StringComparison.Ordinal)..];
        Assert.DoesNotContain("\nRUN ", runtime, StringComparison.Ordinal);
        Assert.Contains("\nUSER 1654\n", runtime, StringComparison.Ordinal);
        Assert.Contains("ENTRYPOINT [\"", runtime, StringComparison.Ordinal);
        Assert.Contains("CMD [\"/app/qwenserve\", \"health\"]", runtime, StringComparison.Ordinal);
        Assert.DoesNotContain(":latest", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_setting_that_images_manifests_and_units_use_is_one_of_the_servers()
    {
        var known = Settings.SettingsCatalog.All.Select(d => d.Variable).Append("QWENSERVE_CUBIN_CACHE").ToHashSet();
        var options = Settings.SettingsCatalog.All.Select(d => d.Option).ToHashSet();
        string[] files = [Path.Combine(Repository.Root, "Dockerfile"), .. Directory.GetFiles(Path.Combine(Repository.Root, "docker"), "*", SearchOption.AllDirectories), .. Directory.GetFiles(Path.Combine(Repository.Root, "deploy"), "*", SearchOption.AllDirectories)];
        int seen = 0;
        foreach (string file in files)
        {
            string text = File.ReadAllText(file);
            foreach (System.Text.RegularExpressions.Match match in System.Text.RegularExpressions.Regex.Matches(text, @"QWENSERVE_[A-Z_]*[A-Z]"))
            {
                Assert.True(known.Contains(match.Value), $"{file}: {match.Value}");
                seen++;
            }
            foreach (System.Text.RegularExpressions.Match match in System.Text.RegularExpressions.Regex.Matches(text, @"(?:command|args): \[(.*)\]|ExecStart=(.*)"))
                foreach (System.Text.RegularExpressions.Match option in System.Text.RegularExpressions.Regex.Matches(match.Value, @"--[a-z][a-z-]*(?![.=\w-])"))
                    if (!match.Value.Contains("--config.file", StringComparison.Ordinal)) Assert.True(options.Contains(option.Value), $"{file}: {option.Value}");
        }
        Assert.True(seen > 10);
    }

    [ToolFact("systemd-analyze")]
    public void The_systemd_unit_is_accepted()
    {
        string unit = File.ReadAllText(Path.Combine(Repository.Root, "deploy", "systemd", "qwenserve.service"));
        using var folder = new TemporaryDirectory();
        string file = Path.Combine(folder.Path, "qwenserve.service");
        File.WriteAllText(file, unit.Replace("/opt/qwenserve/qwenserve", "/bin/true", StringComparison.Ordinal));
        var (_, output) = Tool.Run("systemd-analyze", ["verify", "--man=no", file]);
        // Complaints about the machine's other units are not ours.
        Assert.DoesNotContain("qwenserve.service", output, StringComparison.Ordinal);
        File.WriteAllText(file, unit.Replace("KillSignal=", "KilSignal=", StringComparison.Ordinal).Replace("/opt/qwenserve/qwenserve", "/bin/true", StringComparison.Ordinal));
        Assert.Contains("KilSignal", Tool.Run("systemd-analyze", ["verify", "--man=no", file]).Output, StringComparison.Ordinal);
    }

    private static string Build(string overlay)
    {
        string folder = Path.Combine(Repository.Root, "deploy", "kustomize", "overlays", overlay);
        return Tool.Find("kubectl") is not null ? Tool.Check("kubectl", "kustomize", folder) : Tool.Check("kustomize", "build", folder);
    }

    private static string After(string text, string mark, int length)
    {
        int at = text.IndexOf(mark, StringComparison.Ordinal);
        Assert.True(at >= 0, mark);
        return text.Substring(at + mark.Length, Math.Min(length, text.Length - at - mark.Length));
    }
}
