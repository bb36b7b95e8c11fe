package image

import "slices"

// ModuleSet says which kind of machines a discovery image is for.
type ModuleSet struct {
	// Name is what a user calls the set.
	Name string
	// Package is the Debian kernel metapackage the modules are taken from.
	Package string
	// Modules are kernel module names in loading order; those they depend on
	// are added when the image is made.
	Modules []string
}

// ModuleSets returns the known sets, smallest first.
//
// The cloud kernel unpacks three CPU seconds faster under emulation, but Debian
// builds it without an AHCI driver and without network drivers of real cards:
// it serves virtual machines with virtio or NVMe disks.
func ModuleSets() []ModuleSet {
	virtual := []string{
		"virtio_pci", "virtio_rng", "virtio_net", "virtio_blk", "virtio_scsi", "sd_mod", "nvme",
		"ext4", "vfat", "nls_ascii", "nls_cp437",
	}
	generic := append(slices.Clone(virtual), "ahci", "ata_piix", "e1000", "e1000e", "igb", "usbhid", "hid_generic")
	wide := append(slices.Clone(generic),
		"ixgbe", "i40e", "ice", "tg3", "bnx2x", "bnxt_en", "mlx4_en", "mlx5_core", "r8169", "qede", "be2net",
		"megaraid_sas", "mpt3sas", "smartpqi", "hpsa", "aacraid", "ipmi_si", "ipmi_devintf",
		"xfs", "raid1", "bonding", "8021q")
	return []ModuleSet{
		{Name: "cloud", Package: "linux-image-cloud-amd64", Modules: virtual},
		{Name: "generic", Package: "linux-image-amd64", Modules: generic},
		{Name: "wide", Package: "linux-image-amd64", Modules: wide},
	}
}

// FindModuleSet returns the set of that name.
func FindModuleSet(name string) (ModuleSet, bool) {
	sets := ModuleSets()
	i := slices.IndexFunc(sets, func(s ModuleSet) bool { return s.Name == name })
	if i < 0 {
		return ModuleSet{}, false
	}
	return sets[i], true
}
