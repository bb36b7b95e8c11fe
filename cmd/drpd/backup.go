package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/datadir"
)

// passphraseEnv names the variable with the passphrase of a backup.
const passphraseEnv = "DRPD_BACKUP_PASSPHRASE"

func (l *local) backup() *cobra.Command {
	cfg := datadir.BackupConfig{Version: version}
	var file string
	c := &cobra.Command{Use: "backup FILE", Short: "Write all that makes the server into one file, while it runs or not", Args: cobra.ExactArgs(1),
		Long: "Write the database, the keys (sealed), uploads, job logs and the audit into one file. The keys are sealed by a passphrase, from --passphrase-file, from $" +
			passphraseEnv + " or asked for, or to an age recipient. Without it the backup cannot be restored: keep it apart from the backup.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.Config = datadir.Config{Dir: l.cfg.DataDir, Database: l.cfg.Database}
			cfg.To, cfg.Now = args[0], time.Now()
			var err error
			if cfg.Seal.Recipient == "" {
				if cfg.Seal.Passphrase, err = passphrase(cmd, file, true); err != nil {
					return err
				}
			}
			m, err := datadir.Backup(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			describe(cmd, "backed up", m)
			return nil
		}}
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase")
	c.Flags().StringVar(&cfg.Seal.Recipient, "recipient", "", "age recipient (age1...) to seal the keys to, instead of a passphrase")
	c.Flags().BoolVar(&cfg.NoISOs, "without-isos", false, "leave out ISOs and what was unpacked of them: upload them again after a restore")
	return c
}

func restoreCommand() *cobra.Command {
	var cfg datadir.RestoreConfig
	var file, identity string
	c := &cobra.Command{Use: "restore FILE --data-dir DIR", Short: "Unpack a backup into an empty directory; the server is then not active", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.From, cfg.Now = args[0], time.Now()
			var err error
			if identity != "" {
				cfg.Seal.Identity, err = ageIdentity(identity)
			} else {
				cfg.Seal.Passphrase, err = passphrase(cmd, file, false)
			}
			if err != nil {
				return err
			}
			m, err := datadir.Restore(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			describe(cmd, "restored", m)
			fmt.Fprintf(cmd.OutOrStdout(), "start drpd --data-dir %s: it answers reads and does nothing to machines until drpd activate\n", cfg.Dir)
			return nil
		}}
	c.Flags().StringVar(&cfg.Dir, "data-dir", "", "empty directory to restore into")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase")
	c.Flags().StringVar(&cfg.SignedBy, "signed-by", "", "fingerprint (SHA-256) of the certificate authority of the server whose backup it must be; wanted with --identity-file, as everybody can seal to a recipient")
	c.Flags().StringVar(&identity, "identity-file", "", "file with the age identity (AGE-SECRET-KEY-1...) of the recipient")
	_ = c.MarkFlagRequired("data-dir")
	return c
}

func describe(cmd *cobra.Command, did string, m *datadir.Manifest) {
	var bytes int64
	for _, p := range m.Parts {
		bytes += p.Size
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: server %s as of %s, revision %d, %d parts, %d bytes\n", did, m.Server, m.Taken.UTC().Format(time.RFC3339), m.Revision, len(m.Parts), bytes)
	if m.Authority != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "signed by: certificate authority sha256 %s\n", m.Authority)
	}
	for _, p := range m.LeftOut {
		fmt.Fprintf(cmd.OutOrStdout(), "left out: %s\n", strings.TrimPrefix(p.Name, "blobs/"))
	}
}

// passphrase is never an argument: those are seen by every user of the system.
func passphrase(cmd *cobra.Command, file string, twice bool) (string, error) {
	if file != "" {
		return firstLine(file)
	}
	if p := os.Getenv(passphraseEnv); p != "" {
		return p, nil
	}
	return secretLine(cmd, "Passphrase of the backup: ", twice)
}

func firstLine(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fmt.Errorf("the first line of %s is empty", path)
	}
	return line, nil
}

func ageIdentity(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "AGE-SECRET-KEY-1") {
			return line, nil
		}
	}
	return "", errors.New("no AGE-SECRET-KEY-1 in " + path)
}
